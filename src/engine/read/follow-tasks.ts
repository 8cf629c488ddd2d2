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

/** How often a follower scans for changes when no wakeup arrives. */
const POLL_MS = 1_000;
/** A follower rests between two rounds, longer after a costly round, so it uses at most a third of a connection. */
const REST_MS_MIN = 5;
const REST_RATIO = 2;

/**
 * How long the `seen` of a cursor may stay the same while nothing is delivered. Until then, a round that finds nothing
 * takes no part in flushing the database's log. While the log is behind, the snapshot of such a round does not become
 * `seen`.
 */
const SEEN_MS_MAX = 10_000;

/** How many reads of the store run at once for all followers of many tasks. Other calls get the other connections. */
const MAX_CONCURRENT_READS = 2;

/** The source of the followers of many tasks. */
export interface FollowSource extends ChangeSource {
  feed: Feed;
}

/** Opens a source. All followers of many tasks share one, because it limits their reads together. */
export function openFollowSource(parts: Omit<FollowSource, "turn">): FollowSource {
  const limit = pLimit(MAX_CONCURRENT_READS);
  return { ...parts, turn: (read) => limit(() => readForOpenStream(read)) };
}

/**
 * Yields the changes of many tasks in pages. A follower can resume after any page. Between two rounds, the server holds
 * no state for a task or a follower: the store finds the changes since the cursor's snapshot, and the feed only signals
 * when to scan. The first page comes at once and is empty. After heartbeatMs without changes, another empty page comes.
 *
 * Every cursor survives a crash of the database, because it holds only durable snapshots.
 *
 * @throws InvalidArgument for a cursor that is of another database, too old, or from before a failover that may have
 *   lost commits; StoreUnavailable, or the signal's reason
 */
export async function* followTasks(
  source: FollowSource,
  query: FollowTasksQuery,
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  using wakeup = source.feed.subscribeToAll(signal); // Before the first scan, so that no commit falls between.
  const isGiven = query.cursor === null && !query.fromStart;
  const now = await readSnapshot(source.db, { isGiven });
  let cursor = query.cursor ?? (query.fromStart ? FROM_START : { seen: now, round: null });
  requireComparable(cursor, now);
  signal.throwIfAborted();
  let idleSince = performance.now();
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
      idleSince = began = performance.now(); // The reader's time is not a cost of the round.
    }
    if (wasBegun) continue; // The round began on another stream: commits since its target sent this stream no wakeup.
    costMs += performance.now() - began;
    await pause(Math.max(query.intervalMs, REST_MS_MIN, REST_RATIO * costMs), signal);
    const leftMs = () => query.heartbeatMs - (performance.now() - idleSince);
    await wakeup.next(Math.max(0, Math.min(POLL_MS, leftMs())));
    if (leftMs() > 0) continue;
    idleSince = performance.now();
    yield emptyPage(cursor);
  }
}

function emptyPage(cursor: FollowCursor): FollowedPage {
  return { seen: cursor.seen, target: cursor.seen, tasks: [], cursor };
}
