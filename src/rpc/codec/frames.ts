import { ANSWER_BYTES_MAX, FRAME_BYTES_MAX } from "../../domain/limits.ts";
import type { TapePage } from "../../engine/api/task-engine.ts";
import { encodeEvents } from "../../codec/event-encoding.ts";

/** A stretch of a tape that one message carries, with its events encoded: their size is what the cut goes by. */
export interface TapeFrame extends TapePage {
  /** The whole field `events`. */
  encodedEvents: Buffer;
}

/**
 * The start of a page, as much of it as one gRPC message may carry: the store and the feed bound pages by the size of
 * their JSON, and the same as protobuf may be several times larger. At least one event, which fits by itself.
 */
export function cutPage(page: TapePage, bytesMax: number = ANSWER_BYTES_MAX): TapeFrame {
  const { count, bytes } = encodeEvents(page.events, bytesMax);
  if (count === page.events.length) return { ...page, encodedEvents: bytes };
  const events = page.events.slice(0, count);
  const nextFromSeq = events.at(-1)!.seq + 1n;
  return { ...page, events, nextFromSeq, hasMore: nextFromSeq <= page.lastSeq, encodedEvents: bytes };
}

/** A page as the frames of a stream, FRAME_BYTES_MAX each: one for most pages, and one for a page without an event. */
export function* cutFrames(page: TapePage, bytesMax: number = FRAME_BYTES_MAX): Generator<TapeFrame> {
  let given = 0;
  do {
    const rest = given === 0 ? page : { ...page, events: page.events.slice(given) };
    const frame = cutPage(rest, bytesMax);
    given += frame.events.length;
    yield frame;
  } while (given < page.events.length);
}
