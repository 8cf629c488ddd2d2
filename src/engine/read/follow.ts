import { setImmediate } from "node:timers/promises";
import { SeqOutOfRange } from "../../domain/errors.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Task } from "../../domain/task.ts";
import type { Feed } from "./feed.ts";
import { foldPage, foldPages } from "./folded-pages.ts";
import { readForOpenStream } from "./open-stream-read.ts";
import type { TapeSource } from "./tape-source.ts";
import type { PageQuery, TapePage, TaskEngine } from "../api/task-engine.ts";

/** Beyond every seq: asks for a page whose read began after the call. */
const NOTHING_OLDER = 2n ** 63n;

/**
 * Yields a tape from a position on, then live: pages in order, each event once. The first page comes at once, even
 * without events, and shows nothing older than the call. After heartbeatMs without an event, an empty page comes. Ends
 * after `final`, and at once if fromSeq is past the end of a finished tape.
 *
 * @param fromSeq the first seq wanted, from 1
 * @param knownSeq a last_seq that was read after the call began; if left out, the first page is checked with the store
 * @throws TaskNotFound, TaskExpired, StoreUnavailable, Overloaded before the first page, SeqOutOfRange for a position past
 *   last_seq + 1 of a task that has not ended, or the signal's reason
 */
async function* followRecorded(
  source: TapeSource,
  { taskId, fromSeq, heartbeatMs, knownSeq }: Parameters<TaskEngine["followTape"]>[0],
  signal: AbortSignal,
): AsyncGenerator<TapePage> {
  using wakeup = source.feed.subscribe(taskId, signal); // Before the first read, so that no commit falls between.
  let isPageDue = true; // The first page and heartbeats are yielded even if they are empty.
  let prefetched: Promise<TapePage> | null = null;
  let isOpen = false;
  let seenSeq = knownSeq ?? (await currentSeq(source, taskId));
  const readStored = (query: PageQuery, seen: bigint): Promise<TapePage> => {
    const read = () => source.stored.read(query, seen);
    return isOpen ? readForOpenStream(read, signal) : read();
  };
  for (let cursor = fromSeq; ;) {
    const query = { taskId, fromSeq: cursor, limit: PAGE_EVENTS_MAX };
    // The feed is asked only if no page of the store is on its way and this server knows the position. A follower may
    // come from another server, at a position that is not known here yet.
    const isKnown: boolean = prefetched === null && cursor <= seenSeq + 1n;
    const live: TapePage | null = isKnown ? source.feed.read(query, seenSeq) : null;
    const page: TapePage = live ?? (await (prefetched ?? readStored(query, seenSeq)));
    if (cursor > page.lastSeq + 1n && !isTerminal(page.status)) throw new SeqOutOfRange(taskId, cursor, page.lastSeq);
    const isLast = !page.hasMore && isTerminal(page.status);
    if (!isLast) signal.throwIfAborted(); // A follower at the end still gets it, even if the server stops.
    seenSeq = page.lastSeq;
    // While the reader handles this page, the database reads the next one. A page in memory needs no wait, so it is
    // read as late as possible: more events have come by then, and the page is fuller.
    isOpen = true; // From here on, reads wait for an overloaded database. A new call would be refused.
    prefetched = live === null && page.hasMore ? readStored({ ...query, fromSeq: page.nextFromSeq }, seenSeq) : null;
    prefetched?.catch(() => {}); // Thrown at the await, if the reader asks for the next page.
    if (prefetched !== null) await setImmediate(); // Sends the query before the reader works on this page.
    if (isPageDue || page.events.length > 0) yield page;
    cursor = page.nextFromSeq;
    isPageDue = false;
    if (isLast) return; // Correct, because the status and `final` commit together.
    if (page.hasMore) continue;
    isPageDue = !(await wakeup.next(heartbeatMs));
  }
}

/** Yields a tape like followRecorded, in the view of the query. */
export function followTape(
  source: TapeSource,
  query: Parameters<TaskEngine["followTape"]>[0],
  signal: AbortSignal,
): AsyncGenerator<TapePage> {
  const pages = followRecorded(source, query, signal);
  return query.view === "folded" ? foldPages(pages) : pages;
}

/**
 * Returns one page, which shows nothing older than the call. Waits up to waitMs while there is no event at fromSeq and
 * the task has not ended.
 *
 * @throws TaskNotFound, TaskExpired, StoreUnavailable, or the signal's reason
 */
export async function readEvents(
  source: TapeSource,
  { view, ...query }: Parameters<TaskEngine["readEvents"]>[0],
  signal: AbortSignal,
): Promise<TapePage> {
  const page = await readRecorded(source, query, signal);
  if (view !== "folded") return page;
  const { taskId, limit } = query;
  return foldPage(page, limit, (fromSeq, lastSeq) => {
    signal.throwIfAborted();
    return readPage(source, { taskId, fromSeq, limit: PAGE_EVENTS_MAX }, lastSeq);
  });
}

async function readRecorded(
  source: TapeSource,
  { waitMs, ...query }: PageQuery & { waitMs: number },
  signal: AbortSignal,
): Promise<TapePage> {
  if (waitMs === 0) return readPage(source, query, await currentSeq(source, query.taskId));
  using wakeup = source.feed.subscribe(query.taskId, signal);
  const until = performance.now() + waitMs;
  let seenSeq = await currentSeq(source, query.taskId);
  for (;;) {
    const page = await readPage(source, query, seenSeq);
    seenSeq = page.lastSeq;
    const leftMs = until - performance.now();
    if (page.events.length > 0 || isTerminal(page.status) || leftMs <= 0) return page;
    await wakeup.next(leftMs);
  }
}

/**
 * Returns a task as soon as it is terminal, or its current state after waitMs.
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
    if (feed.isRemoved(taskId)) return readTask();
    const leftMs = until - performance.now();
    if (leftMs <= 0) return readTask();
    await wakeup.next(leftMs);
  }
}

async function readPage({ feed, stored }: TapeSource, query: PageQuery, seenSeq: bigint): Promise<TapePage> {
  return feed.read(query, seenSeq) ?? stored.read(query, seenSeq);
}

/**
 * Returns the last seq that a call must show, as of the call's beginning or later. Another server may have appended to
 * the tape, or removed the task, without a notification. So memory serves the call only if the store has the task and
 * memory is as new as the store. If nothing is in memory, the page is read from the store anyway.
 */
async function currentSeq({ feed, states }: TapeSource, taskId: string): Promise<bigint> {
  if (feed.state(taskId) === undefined && !feed.isShared(taskId)) return NOTHING_OLDER;
  const { lastSeq } = await states.read(taskId);
  // This process publishes its own commits in the turn in which their confirmation arrives. One turn later, memory has
  // them, and the store need not be read.
  if ((feed.state(taskId)?.lastSeq ?? 0n) < lastSeq) await setImmediate();
  return lastSeq;
}
