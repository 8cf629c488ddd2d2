import { setImmediate } from "node:timers/promises";
import { FOLDED_PAGE_MS_MAX } from "../../domain/limits.ts";
import { mayFold, TapeFold } from "../../domain/tape-fold.ts";
import type { TapeEvent } from "../../domain/event.ts";
import type { TapePage } from "../api/task-engine.ts";

/**
 * Folds the pages of a follower. While the next page is stored already, collects several pages into one, up to the
 * bounds of a fold and FOLDED_PAGE_MS_MAX. Never waits for new events: at the live end, what is there is yielded at
 * once.
 *
 * A page without partials of series is yielded as it is, so followers at the live end share its encoding.
 */
export async function* foldPages(pages: AsyncIterable<TapePage>): AsyncGenerator<TapePage> {
  let fold: TapeFold | null = null;
  let until = 0;
  for await (const page of pages) {
    if (fold === null && !page.events.some(mayFold)) {
      yield page;
      continue;
    }
    for (let rest = page.events; ;) {
      if (fold === null) {
        fold = new TapeFold();
        until = performance.now() + FOLDED_PAGE_MS_MAX;
      }
      const taken: number = fold.take(rest);
      rest = rest.slice(taken);
      if (rest.length === 0) break;
      yield foldedPage(page, fold.finish());
      fold = null;
    }
    if (page.hasMore && fold.hasRoom && performance.now() < until) {
      await setImmediate(); // Pages from memory come without a wait, and nothing else would run meanwhile.
      continue;
    }
    yield foldedPage(page, fold.finish());
    fold = null;
  }
}

/**
 * Returns a page of the folded view with at most `limit` events. Reads on while the view has room and the next page is
 * stored already, for FOLDED_PAGE_MS_MAX at most.
 *
 * @param first a page of recorded events, with at most `limit` of them
 * @param readNext reads a page from a seq on, no older than lastSeq
 */
export async function foldPage(
  first: TapePage,
  limit: number,
  readNext: (fromSeq: bigint, lastSeq: bigint) => Promise<TapePage>,
): Promise<TapePage> {
  if (!first.events.some(mayFold)) return first;
  const fold = new TapeFold({ eventsMax: limit });
  fold.take(first.events);
  let page = first;
  let nextFromSeq = first.nextFromSeq;
  const until = performance.now() + FOLDED_PAGE_MS_MAX;
  while (nextFromSeq <= page.lastSeq && fold.hasRoom && performance.now() < until) {
    page = await readNext(nextFromSeq, page.lastSeq);
    const taken = fold.take(page.events);
    nextFromSeq += BigInt(taken);
    if (taken < page.events.length || taken === 0) break;
    await setImmediate();
  }
  return foldedPage(page, fold.finish());
}

/** @param page the recorded page that was read last: its status and lastSeq are the newest */
function foldedPage(page: TapePage, events: readonly TapeEvent[]): TapePage {
  const nextFromSeq = events.at(-1)!.seq + 1n;
  return { ...page, events, nextFromSeq, hasMore: nextFromSeq <= page.lastSeq };
}
