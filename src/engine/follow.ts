import { setImmediate } from "node:timers/promises";
import { PAGE_EVENTS_MAX } from "../domain/limits.ts";
import { isTerminal } from "../domain/task.ts";
import type { Task } from "../domain/task.ts";
import type { Feed } from "./feed.ts";
import { readPatiently } from "./patient-read.ts";
import type { StoredPages } from "./stored-pages.ts";
import type { PageQuery, TapePage } from "./task-engine.ts";

/** Past every seq: for one answer by itself, which is to show the tape as it is. */
const NOTHING_OLDER = 2n ** 63n;

/** Where pages come from: the feed where it has them, else the store. */
export interface TapeSource {
  feed: Feed;
  stored: StoredPages;
}

/**
 * Gives a tape from a position on, then live: pages in order, each event once. The first page comes at once, even
 * with no event; after heartbeatMs without an event comes an empty page. Ends after `final`, and at once when fromSeq
 * is past the end of a finished tape.
 *
 * @param fromSeq the first seq wanted, from 1
 * @throws TaskNotFound, StoreUnavailable, Overloaded before the first page, or the signal's reason
 */
export async function* followTape(
  source: TapeSource,
  { taskId, fromSeq, heartbeatMs }: { taskId: string; fromSeq: bigint; heartbeatMs: number },
  signal: AbortSignal,
): AsyncGenerator<TapePage> {
  using wakeup = source.feed.subscribe(taskId, signal); // Before the first read: nothing falls between.
  let owed = true; // The first page, and a heartbeat, are given though they be empty.
  let ahead: Promise<TapePage> | null = null;
  let isOpen = false;
  let seenSeq = source.feed.state(taskId)?.lastSeq ?? 0n; // Who comes is shown nothing older than what is known here.
  const readStored = (query: PageQuery, seen: bigint): Promise<TapePage> => {
    const read = () => source.stored.read(query, seen);
    return isOpen ? readPatiently(read, signal) : read();
  };
  for (let cursor = fromSeq; ;) {
    const query = { taskId, fromSeq: cursor, limit: PAGE_EVENTS_MAX };
    const live: TapePage | null = ahead === null ? source.feed.read(query, seenSeq) : null;
    const page: TapePage = live ?? (await (ahead ?? readStored(query, seenSeq)));
    const isLast = !page.hasMore && isTerminal(page.status);
    if (!isLast) signal.throwIfAborted(); // The end is given to whoever was there for it, though the server stops.
    seenSeq = page.lastSeq;
    // While the reader has this page the database reads the next. What is in memory takes no waiting for, and is asked
    // for as late as can be: the more that has come by then, the fuller the page.
    isOpen = true; // From here on it waits for the database where a new call would be refused.
    ahead = live === null && page.hasMore ? readStored({ ...query, fromSeq: page.nextFromSeq }, seenSeq) : null;
    ahead?.catch(() => {}); // Thrown where it is awaited, if the reader comes back for it.
    if (ahead !== null) await setImmediate(); // The query is sent before the reader gets to work on this page.
    if (owed || page.events.length > 0) yield page;
    cursor = page.nextFromSeq;
    owed = false;
    if (isLast) return; // Sound, because status and final commit together.
    if (page.hasMore) continue;
    owed = !(await wakeup.next(heartbeatMs));
  }
}

/**
 * Gives one page, waiting up to waitMs where there is no event at fromSeq and the task has not ended.
 *
 * @throws TaskNotFound, StoreUnavailable, or the signal's reason
 */
export async function readEvents(
  source: TapeSource,
  { waitMs, ...query }: PageQuery & { waitMs: number },
  signal: AbortSignal,
): Promise<TapePage> {
  if (waitMs === 0) return readPage(source, query);
  using wakeup = source.feed.subscribe(query.taskId, signal);
  const until = performance.now() + waitMs;
  for (;;) {
    const page = await readPage(source, query);
    const leftMs = until - performance.now();
    if (page.events.length > 0 || isTerminal(page.status) || leftMs <= 0) return page;
    await wakeup.next(leftMs);
  }
}

/**
 * Gives a task as soon as it is terminal, or as it is after waitMs.
 *
 * @param readTask reads the task from the store
 */
export async function waitForEnd(
  feed: Feed,
  readTask: () => Promise<Task>,
  { taskId, waitMs }: { taskId: string; waitMs: number },
  signal: AbortSignal,
): Promise<Task> {
  using wakeup = feed.subscribe(taskId, signal);
  const until = performance.now() + waitMs;
  const task = await readTask();
  feed.observe(task);
  for (;;) {
    const { status } = feed.state(taskId) ?? task;
    if (isTerminal(status)) return isTerminal(task.status) ? task : readTask();
    const leftMs = until - performance.now();
    if (leftMs <= 0) return readTask();
    await wakeup.next(leftMs);
  }
}

async function readPage(source: TapeSource, query: PageQuery): Promise<TapePage> {
  return source.feed.read(query, NOTHING_OLDER) ?? source.stored.read(query, NOTHING_OLDER);
}
