import { bodyOf } from "../domain/event.ts";
import type { EventBodies, EventType, TapeEvent, TaskFailure } from "../domain/event.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { mergedPayload } from "../domain/series.ts";
import type { FoldedPartBody, Series } from "../domain/series.ts";
import { LogLevel } from "../gen/spool/v1/event_pb.ts";
import { ProtobufWriter } from "./protobuf-writer.ts";
import { toSeriesModeValue } from "./series.ts";
import { toStatusValue } from "./status.ts";

/** The field of all messages with events: `repeated Event events = 1`. */
const EVENTS = 1;

/** Encoding is synchronous, so one writer is enough. */
const writer = new ProtobufWriter();

/** The first of a list of events, as the field `events` of a frame. */
export interface EncodedEvents {
  /** How many of the events are encoded. */
  count: number;
  bytes: Buffer;
}

/**
 * Encodes events directly from their JSON. The bytes are the same as those of protobuf-es for toEventMessage, at a
 * fraction of the cost: a tape is encoded once per reader, and intermediate messages would be most of the server's
 * work. `test/codec/event-encoding.test.ts` compares both encodings for every type and any JSON.
 *
 * @param bytesMax ends the list before the event that would exceed it; the first event is always encoded
 */
export function encodeEvents(events: readonly TapeEvent[], bytesMax: number): EncodedEvents {
  try {
    let count = 0;
    let length = 0;
    while (count < events.length) {
      writeEvent(events[count]!);
      if (writer.length > bytesMax && count > 0) break;
      length = writer.length;
      count++;
    }
    return { count, bytes: writer.copy(length) };
  } finally {
    writer.clear();
  }
}

function writeEvent(event: TapeEvent): void {
  const start = writer.open(EVENTS);
  integer(1, event.seq);
  timestamp(2, event.time);
  // Another replica with a later version may write types that this version does not know.
  if (Object.hasOwn(BODIES, event.type)) writeBody(event);
  writer.close(start);
}

/** The field of each type in Event's oneof, and the function that writes its body. Protobuf omits default values. */
const BODIES: { readonly [Type in EventType]: readonly [field: number, write: (body: EventBodies[Type]) => void] } = {
  started: [
    3,
    ({ kind, attempt }) => {
      string(1, kind);
      integer(2, attempt);
    },
  ],
  progress: [
    4,
    ({ phase, current, total, detail }) => {
      string(1, phase);
      integer(2, current);
      integer(3, total);
      if (detail) struct(4, detail);
    },
  ],
  log: [
    5,
    ({ level, message }) => {
      integer(1, LogLevel[level]);
      string(2, message);
    },
  ],
  partial: [
    6,
    ({ kind, payload, series }) => {
      string(1, kind);
      struct(2, payload);
      if (series !== undefined) seriesField(3, series);
    },
  ],
  cancel_requested: [
    7,
    ({ reason, cancelled_by: cancelledBy = "" }) => {
      string(1, reason);
      string(2, cancelledBy);
    },
  ],
  final: [
    8,
    ({ status, result, error }) => {
      integer(1, toStatusValue(status));
      if (status === "succeeded") struct(2, result ?? {});
      else if (error !== undefined) taskError(3, error);
    },
  ],
  retrying: [
    9,
    ({ error, next_attempt_at: nextAttemptAt }) => {
      taskError(1, error);
      timestamp(2, new Date(nextAttemptAt));
    },
  ],
  folded: [
    10,
    ({ first_seq: firstSeq, parts }) => {
      integer(1, BigInt(firstSeq));
      for (const part of parts) foldedPartial(2, part);
    },
  ],
};

function writeBody<Type extends EventType>(event: TapeEvent & { type: Type }): void {
  const [field, write] = BODIES[event.type];
  const start = writer.open(field);
  write(bodyOf(event));
  writer.close(start);
}

function seriesField(field: number, { name, mode, field: textField = "" }: Series): void {
  const start = writer.open(field);
  string(1, name);
  integer(2, toSeriesModeValue(mode));
  string(3, textField);
  writer.close(start);
}

function foldedPartial(field: number, part: FoldedPartBody): void {
  const start = writer.open(field);
  const partial = writer.open(1);
  string(1, part.partial.kind);
  struct(2, mergedPayload(part));
  seriesField(3, part.partial.series);
  writer.close(partial);
  integer(2, part.count);
  integer(3, BigInt(part.first_seq));
  integer(4, BigInt(part.last_seq));
  writer.close(start);
}

function taskError(field: number, { reason, message, details }: TaskFailure): void {
  const start = writer.open(field);
  string(1, reason);
  string(2, message);
  if (details) struct(3, details);
  writer.close(start);
}

function timestamp(field: number, time: Date): void {
  const ms = time.getTime();
  const seconds = Math.floor(ms / 1_000);
  const start = writer.open(field);
  integer(1, seconds);
  integer(2, (ms - seconds * 1_000) * 1_000_000);
  writer.close(start);
}

/** Writes a google.protobuf.Struct: a map with keys and values that are never omitted. */
function struct(field: number, object: JsonObject): void {
  const start = writer.open(field);
  for (const key of Object.keys(object)) {
    const entry = writer.open(1);
    writer.string(1, key);
    value(2, object[key]!);
    writer.close(entry);
  }
  writer.close(start);
}

/** Writes a google.protobuf.Value: one of six fields, in which default values are not omitted. */
function value(field: number, json: JsonValue): void {
  const start = writer.open(field);
  if (json === null) writer.integer(1, 0);
  else if (typeof json === "number") writer.double(2, json);
  else if (typeof json === "string") writer.string(3, json);
  else if (typeof json === "boolean") writer.integer(4, Number(json));
  else if (Array.isArray(json)) list(6, json);
  else struct(5, json);
  writer.close(start);
}

function list(field: number, items: readonly JsonValue[]): void {
  const start = writer.open(field);
  for (const item of items) value(1, item);
  writer.close(start);
}

function string(field: number, text: string): void {
  if (text !== "") writer.string(field, text);
}

function integer(field: number, number: number | bigint): void {
  if (number !== 0 && number !== 0n) writer.integer(field, number);
}
