import { FRAME_BYTES_MAX } from "../domain/limits.ts";
import type { TapePage } from "../engine/task-engine.ts";
import { toEventMessage } from "./convert.ts";
import { eventFieldBytes } from "./encode.ts";

/**
 * The start of a page, as much of it as one gRPC message may carry: the store and the feed bound pages by the size of
 * their JSON, and the same as protobuf may be several times larger. At least one event, which fits by itself.
 */
export function cutPage(page: TapePage, bytesMax: number = FRAME_BYTES_MAX): TapePage {
  let bytes = 0;
  const kept = page.events.findIndex((event) => (bytes += eventFieldBytes(toEventMessage(event))) > bytesMax);
  if (kept === -1) return page;
  const events = page.events.slice(0, Math.max(kept, 1));
  const nextFromSeq = events.at(-1)!.seq + 1n;
  return { ...page, events, nextFromSeq, hasMore: nextFromSeq <= page.lastSeq };
}

/** A page as the frames of a stream: one for most pages, and one for a page without an event. */
export function* cutFrames(page: TapePage, bytesMax: number = FRAME_BYTES_MAX): Generator<TapePage> {
  let given = 0;
  do {
    const rest = given === 0 ? page : { ...page, events: page.events.slice(given) };
    const frame = cutPage(rest, bytesMax);
    given += frame.events.length;
    yield frame;
  } while (given < page.events.length);
}
