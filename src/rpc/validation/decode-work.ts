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

/** Smaller messages are decoded at once. */
const LARGE_BYTES = 32 * 1_024;
/** After so many bytes of events, other work of the event loop runs. */
const TURN_BYTES = 32 * 1_024;

const APPEND = WorkRequestSchema.field.append.number;
const FINISH = WorkRequestSchema.field.finish.number;
const EVENTS = AppendSchema.field.events.number;
/** The last field of an append and of a finish that identifies it: task, attempt and number. */
const HEAD = 3;

const refusals = new WeakMap<WorkRequest, SpoolError>();

/** Returns why a message must be rejected of which only the identifying fields were decoded. */
export function refusalOf(message: WorkRequest): SpoolError | undefined {
  return refusals.get(message);
}

/**
 * Decodes a message of a worker. A large message does not block the server: its events are decoded a few at a time. An
 * event or result with too many entries is not decoded (see refusalOf).
 *
 * @throws SpoolError (INVALID_ARGUMENT) for malformed bytes
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
      if (events.length > APPEND_EVENTS_MAX) break; // Rejected for its number of events, however many follow.
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

/** Decodes the identifying fields of a message. They may be anywhere in a message with an allowed number of events. */
function decodeHead<Desc extends DescMessage>(desc: Desc, bytes: Uint8Array): MessageShape<Desc> {
  const head: Uint8Array[] = [];
  let recordsLeft = APPEND_EVENTS_MAX + 2 * HEAD;
  for (const { field, whole } of recordsOf(desc, bytes)) {
    if (field <= HEAD) head.push(whole);
    if (--recordsLeft === 0) break;
  }
  return decode(desc, Buffer.concat(head));
}

/** Yields the fields of a message in order. @throws SpoolError for malformed bytes */
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
    throw new SpoolError("INVALID_ARGUMENT", `the request must be a ${typeName}: its bytes are malformed`, { cause });
  }
  return undefined;
}
