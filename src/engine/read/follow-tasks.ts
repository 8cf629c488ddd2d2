import pLimit from "p-limit";
import { pause } from "../../async/pause.ts";
import { FROM_START, requireComparable } from "../../domain/follow-cursor.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import { readSnapshot } from "../../store/tapes/snapshots.ts";
import type { Feed } from "./feed.ts";
import { readForOpenStream } from "./open-stream-read.ts";
import { scanChanges } from "./change-scan.ts";
import type { ChangeSource } from "./change-scan.ts";
import type { FollowedPage, FollowTasksQuery } from "../api/task-engine.ts";

/** Whether something was committed is looked at so often, though nobody said so. */
const POLL_MS = 1_000;
/** A follower rests between two rounds, and longer the more they cost: it takes a third of a connection at the most. */
const REST_MS_MIN = 5;
const REST_RATIO = 2;

/**
 * What has been seen moves on at least so often though nothing is given. A round that finds nothing takes no part in
 * flushing the database's log until then, and what it has looked at is not held for seen while the log is behind.
 */
const SEEN_MS_MAX = 10_000;

/** How many reads of the store are under way at once for all who follow many tasks: the rest of it is for the others. */
const READS_AT_ONCE = 2;

/** What those who follow many tasks stand on. */
export interface FollowSource extends ChangeSource {
  feed: Feed;
}

/** One for all who follow: what they read in turn, they read by this. */
export function openFollowSource(parts: Omit<FollowSource, "turn">): FollowSource {
  const limit = pLimit(READS_AT_ONCE);
  return { ...parts, turn: (read) => limit(() => readForOpenStream(read)) };
}

/**
 * Gives what is new of many tasks, in pages, each of which can be come back after. Nothing is kept of one task or for
 * one follower between two rounds: the store says what has changed since the snapshot that the cursor holds, and the
 * feed only when to ask. The first page comes at once, empty; after heartbeatMs without news comes another empty one.
 *
 * Every cursor that is given survives a crash of the database: it holds durable snapshots only.
 *
 * @throws InvalidArgument for a cursor that is not of this database, too old, or from before a failover that may have
 *   lost commits; StoreUnavailable, or the signal's reason
 */
export async function* followTasks(
  source: FollowSource,
  query: FollowTasksQuery,
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  using wakeup = source.feed.subscribeToAll(signal); // Before the first scan: nothing falls between.
  const isGiven = query.cursor === null && !query.fromStart;
  const now = await readSnapshot(source.db, { isGiven });
  let cursor = query.cursor ?? (query.fromStart ? FROM_START : { seen: now, round: null });
  requireComparable(cursor, now);
  signal.throwIfAborted();
  let quietSince = performance.now();
  let seenAt = performance.now();
  yield emptyPage(cursor);
  for (;;) {
    const wasBegun = cursor.round !== null;
    let costMs = 0;
    let began = performance.now();
    const mustBeDurable = performance.now() - seenAt >= SEEN_MS_MAX;
    for await (const page of scanChanges(source, query, cursor, { mustBeDurable })) {
      signal.throwIfAborted();
      if (page.cursor.seen !== cursor.seen) seenAt = performance.now();
      cursor = page.cursor;
      if (page.tasks.length === 0) continue;
      costMs += performance.now() - began;
      yield page;
      quietSince = began = performance.now(); // The time that its reader takes is not a cost of the round.
    }
    if (wasBegun) continue; // On another stream: what was committed since its target woke nobody here.
    costMs += performance.now() - began;
    await pause(Math.max(query.intervalMs, REST_MS_MIN, REST_RATIO * costMs), signal);
    const leftMs = () => query.heartbeatMs - (performance.now() - quietSince);
    await wakeup.next(Math.max(0, Math.min(POLL_MS, leftMs())));
    if (leftMs() > 0) continue;
    quietSince = performance.now();
    yield emptyPage(cursor);
  }
}

function emptyPage(cursor: FollowCursor): FollowedPage {
  return { seen: cursor.seen, target: cursor.seen, tasks: [], cursor };
}
