import { ANSWER_BYTES_MAX, FRAME_BYTES_MAX } from "../../domain/limits.ts";
import type { TapePage } from "../../engine/api/task-engine.ts";
import { encodeEvents } from "../../codec/event-encoding.ts";

/** A part of a tape that one message carries, with its events encoded: the page is split by their size. */
export interface TapeFrame extends TapePage {
  /** The encoded field `events`. */
  encodedEvents: Buffer;
}

/**
 * Returns the first part of a page that fits into one gRPC message. The store and the feed bound pages by their JSON
 * size, and protobuf may be several times larger. The part has at least one event, which fits by itself.
 */
export function cutPage(page: TapePage, bytesMax: number = ANSWER_BYTES_MAX): TapeFrame {
  const { count, bytes } = encodeEvents(page.events, bytesMax);
  if (count === page.events.length) return { ...page, encodedEvents: bytes };
  const events = page.events.slice(0, count);
  const nextFromSeq = events.at(-1)!.seq + 1n;
  return { ...page, events, nextFromSeq, hasMore: nextFromSeq <= page.lastSeq, encodedEvents: bytes };
}

/** Splits a page into frames of at most FRAME_BYTES_MAX: usually one. A page without events becomes one frame. */
export function* cutFrames(page: TapePage, bytesMax: number = FRAME_BYTES_MAX): Generator<TapeFrame> {
  let given = 0;
  do {
    const rest = given === 0 ? page : { ...page, events: page.events.slice(given) };
    const frame = cutPage(rest, bytesMax);
    given += frame.events.length;
    yield frame;
  } while (given < page.events.length);
}
