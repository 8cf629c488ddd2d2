import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { SpoolError } from "../../domain/errors.ts";
import { APPEND_EVENTS_MAX, WORK_ENTRIES_MAX } from "../../domain/limits.ts";
import { AppendSchema, FinishSchema, NewEventSchema, WorkRequestSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { NewEvent, WorkRequest } from "../../gen/spool/v1/worker_service_pb.ts";
import { decode } from "./decode.ts";
import { checkEntries } from "./request-bounds.ts";

/** A message that is smaller is decoded at once. */
const LARGE_BYTES = 32 * 1_024;
/** After so many bytes of events others have their turn. */
const TURN_BYTES = 32 * 1_024;

const APPEND = WorkRequestSchema.field.append.number;
const FINISH = WorkRequestSchema.field.finish.number;
const EVENTS = AppendSchema.field.events.number;
/** Of an append and of a finish: whose they are, and their number. */
const HEAD = 3;

const refusals = new WeakMap<WorkRequest, SpoolError>();

/** Why a message is to be refused that was not decoded but for what says whose it is. */
export function refusalOf(message: WorkRequest): SpoolError | undefined {
  return refusals.get(message);
}

/**
 * Decodes what a worker says. A large message does not hold up the server: its events are decoded a few at a time, and
 * an event or result with too many entries is not decoded at all (see refusalOf).
 *
 * @throws SpoolError (INVALID_ARGUMENT) for what is no message
 */
export async function decodeWork(bytes: Uint8Array): Promise<WorkRequest> {
  if (bytes.length < LARGE_BYTES) return decode(WorkRequestSchema, bytes);
  const records = recordsOf(WorkRequestSchema, bytes);
  const record = records.next().value;
  if (records.next().done !== true) throw new SpoolError("INVALID_ARGUMENT", "a WorkRequest must hold one message");
  if (record?.field === APPEND) return decodeAppend(record.content);
  try {
    checkEntries(WorkRequestSchema, bytes, WORK_ENTRIES_MAX);
  } catch (error) {
    if (record?.field !== FINISH || !(error instanceof SpoolError)) throw error;
    return refused({ case: "finish", value: decodeHead(FinishSchema, record.content) }, error);
  }
  return decode(WorkRequestSchema, bytes);
}

async function decodeAppend(bytes: Uint8Array): Promise<WorkRequest> {
  const append = decodeHead(AppendSchema, bytes);
  const events: NewEvent[] = [];
  let turnBytes = 0;
  try {
    for (const { field, content } of recordsOf(AppendSchema, bytes)) {
      if (field !== EVENTS) continue;
      checkEntries(NewEventSchema, content, WORK_ENTRIES_MAX);
      events.push(decode(NewEventSchema, content));
      if (events.length > APPEND_EVENTS_MAX) break; // It is refused for their number, however many more there are.
      turnBytes += content.length;
      if (turnBytes < TURN_BYTES) continue;
      turnBytes = 0;
      await setImmediate();
    }
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    return refused({ case: "append", value: append }, error);
  }
  append.events = events;
  return create(WorkRequestSchema, { message: { case: "append", value: append } });
}

function refused(message: WorkRequest["message"], error: SpoolError): WorkRequest {
  const request = create(WorkRequestSchema, { message });
  refusals.set(request, error);
  return request;
}

/** The fields of a message that say whose it is, wherever they stand in one that has no more events than it may. */
function decodeHead<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const head: Uint8Array[] = [];
  let recordsLeft = APPEND_EVENTS_MAX + 2 * HEAD;
  for (const { field, whole } of recordsOf(desc, bytes)) {
    if (field <= HEAD) head.push(whole);
    if (--recordsLeft === 0) break;
  }
  return decode(desc, Buffer.concat(head));
}

/** The fields of a message, in order. @throws SpoolError for what is none */
function* recordsOf(
  { typeName }: DescMessage,
  bytes: Uint8Array,
): Generator<{ field: number; content: Uint8Array; whole: Uint8Array }, undefined> {
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const start = reader.pos;
      const [field, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited) {
        const content = reader.bytes();
        yield { field, content, whole: bytes.subarray(start, reader.pos) };
      } else {
        reader.skip(wireType, field);
        yield { field, content: bytes.subarray(0, 0), whole: bytes.subarray(start, reader.pos) };
      }
    }
  } catch (cause) {
    throw new SpoolError("INVALID_ARGUMENT", `the request must be a ${typeName}: its bytes are not one`, { cause });
  }
  return undefined;
}
