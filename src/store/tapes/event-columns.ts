import { sql } from "kysely";
import type { RawBuilder } from "kysely";
import type { EventType, TapeEvent } from "../../domain/event.ts";

/** Separates the bodies of events, and their types. In JSON text, control characters are always escaped. */
export const SEPARATOR = "\x1e";
/** The epoch of timestamptz on the wire. */
const POSTGRES_EPOCH_MS = Date.UTC(2000, 0, 1);
/** The size of a timestamptz on the wire. */
const TIME_BYTES = 8;

/**
 * Consecutive events in order, each column joined into one value. A driver takes several times as long to parse 1,000
 * rows.
 */
export interface EventColumns {
  count: number;
  /** The last seq. null if there are no events, like the fields below. */
  end_seq: bigint | null;
  types: string | null;
  /** The times as timestamptz on the wire, 8 bytes each. */
  times: Uint8Array | null;
  /** The bodies, without those that are too large. */
  bodies: string | null;
}

/** Returns the columns of EventColumns, as aggregates over rows of `task_events`. @param body the text of a row's body */
export function eventColumns(body: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`count(seq)::int as count, max(seq) as end_seq, ${joinedColumns(body)}`;
}

/** Returns the last three of EventColumns, as aggregates. */
export function joinedColumns(body: RawBuilder<unknown>): RawBuilder<unknown> {
  const separator = sql`${SEPARATOR}::text`;
  return sql`string_agg(type, ${separator} order by seq) as types,
    string_agg(timestamptz_send(time), ''::bytea order by seq) as times,
    string_agg(${body}, ${separator} order by seq) as bodies`;
}

/** Returns the events of a row, the first of which has the seq fromSeq; null if the row does not have every body. */
export function toEvents(
  { taskId, fromSeq }: { taskId: string; fromSeq: bigint },
  { count, end_seq: end, types, times, bodies }: EventColumns,
): TapeEvent[] | null {
  if (end === null) return [];
  if (end - fromSeq !== BigInt(count - 1))
    throw new Error(`the tape of task ${taskId} has a gap at ${fromSeq} or after`);
  const bodyOfEach = bodies?.split(SEPARATOR);
  if (bodyOfEach?.length !== count) return null;
  const timeOfEach = toTimes(times!);
  const typeOfEach = toTypes(types!, count);
  let seq = fromSeq;
  return bodyOfEach.map((body, index) => ({ seq: seq++, time: timeOfEach[index]!, type: typeOfEach(index), body }));
}

/** Returns a function for the type of each event. Often all events have the same type, and the text is not split. */
function toTypes(text: string, count: number): (index: number) => EventType {
  const end = text.indexOf(SEPARATOR);
  const first = (end === -1 ? text : text.slice(0, end)) as EventType;
  if (text === `${first}${SEPARATOR}`.repeat(count - 1) + first) return () => first;
  const typeOfEach = text.split(SEPARATOR) as EventType[];
  return (index) => typeOfEach[index]!;
}

/** Converts big-endian microseconds to dates, in milliseconds. Events of one commit share one Date object. */
function toTimes(bytes: Uint8Array): Date[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let micros = NaN;
  let time = new Date(NaN);
  return Array.from({ length: bytes.byteLength / TIME_BYTES }, (_, index) => {
    const at = index * TIME_BYTES;
    const itsMicros = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4);
    if (itsMicros !== micros) time = new Date(POSTGRES_EPOCH_MS + Math.floor(itsMicros / 1_000));
    micros = itsMicros;
    return time;
  });
}
