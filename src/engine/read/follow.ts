import { setImmediate } from "node:timers/promises";
import { SeqOutOfRange } from "../../domain/errors.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Task } from "../../domain/task.ts";
import type { Feed } from "./feed.ts";
import { readForOpenStream } from "./open-stream-read.ts";
import type { TapeSource } from "./tape-source.ts";
import type { PageQuery, TapePage, TaskEngine } from "../api/task-engine.ts";

/** Past every seq: for a page that is to be read after the call that asks for it has begun. */
const NOTHING_OLDER = 2n ** 63n;

/**
 * Gives a tape from a position on, then live: pages in order, each event once. The first page comes at once, even
 * with no event, and shows nothing older than the call; after heartbeatMs without an event comes an empty page. Ends
 * after `final`, and at once when fromSeq is past the end of a finished tape.
 *
 * @param fromSeq the first seq wanted, from 1
 * @param knownSeq a last_seq that was read after the call began; left out: the first page is held against the store
 * @throws TaskNotFound, StoreUnavailable, Overloaded before the first page, SeqOutOfRange for a position past last_seq + 1
 *   of a task that has not ended, or the signal's reason
 */
export async function* followTape(
  source: TapeSource,
  { taskId, fromSeq, heartbeatMs, knownSeq }: Parameters<TaskEngine["followTape"]>[0],
  signal: AbortSignal,
): AsyncGenerator<TapePage> {
  using wakeup = source.feed.subscribe(taskId, signal); // Before the first read: nothing falls between.
  let owed = true; // The first page, and a heartbeat, are given though they be empty.
  let ahead: Promise<TapePage> | null = null;
  let isOpen = false;
  let seenSeq = knownSeq ?? (await currentSeq(source, taskId));
  const readStored = (query: PageQuery, seen: bigint): Promise<TapePage> => {
    const read = () => source.stored.read(query, seen);
    return isOpen ? readForOpenStream(read, signal) : read();
  };
  for (let cursor = fromSeq; ;) {
    const query = { taskId, fromSeq: cursor, limit: PAGE_EVENTS_MAX };
    // A reader may come from a server that had committed what is not known here yet: only the store can tell.
    const isKnown: boolean = ahead === null && cursor <= seenSeq + 1n;
    const live: TapePage | null = isKnown ? source.feed.read(query, seenSeq) : null;
    const page: TapePage = live ?? (await (ahead ?? readStored(query, seenSeq)));
    if (cursor > page.lastSeq + 1n && !isTerminal(page.status)) throw new SeqOutOfRange(taskId, cursor, page.lastSeq);
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
 * Gives one page, which shows nothing older than the call, waiting up to waitMs where there is no event at fromSeq and
 * the task has not ended.
 *
 * @throws TaskNotFound, StoreUnavailable, or the signal's reason
 */
export async function readEvents(
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

async function readPage({ feed, stored }: TapeSource, query: PageQuery, seenSeq: bigint): Promise<TapePage> {
  return feed.read(query, seenSeq) ?? stored.read(query, seenSeq);
}

/**
 * The last seq that a call has to show, as it was at the call's beginning or later. Any other server may have written
 * to the tape without a word, so what is in memory is known to be current only where the tape has ended; else it is
 * given where it is as new as the store. Where nothing is in memory the page is to be read from the store anyway.
 */
async function currentSeq({ feed, states }: TapeSource, taskId: string): Promise<bigint> {
  const known = feed.state(taskId);
  if (known !== undefined && isTerminal(known.status)) return known.lastSeq;
  if (known === undefined && !feed.isShared(taskId)) return NOTHING_OLDER;
  const { lastSeq } = await states.read(taskId);
  // What this process has committed it publishes within the turn in which it hears of it: memory need not be left.
  if ((feed.state(taskId)?.lastSeq ?? 0n) < lastSeq) await setImmediate();
  return lastSeq;
}
