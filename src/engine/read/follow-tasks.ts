import pLimit from "p-limit";
import { pause } from "../../async/pause.ts";
import { fromStart, refuseGeneration, requireComparable } from "../../domain/follow-cursor.ts";
import type { FollowCursor } from "../../domain/follow-cursor.ts";
import { hasMovedRows } from "../../store/moves/moved-namespaces.ts";
import { readSnapshot } from "../../store/tapes/snapshots.ts";
import { readStates } from "../../store/tasks/task-queries.ts";
import type { Feed } from "./feed.ts";
import { readForOpenStream } from "./open-stream-read.ts";
import { scanChanges } from "./change-scan.ts";
import type { ChangeSource } from "./change-scan.ts";
import type { FollowedPage, FollowTasksQuery } from "../api/task-engine.ts";
import { NEVER_MOVED } from "./follow-origin.ts";
import type { FollowOrigin } from "./follow-origin.ts";

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
  before: FollowOrigin["before"];
}

/** Opens a source. All followers of many tasks share one, because it limits their reads together. */
export function openFollowSource({
  origin: { generation, before } = NEVER_MOVED,
  ...parts
}: Omit<FollowSource, "turn" | keyof FollowOrigin> & { origin?: FollowOrigin | undefined }): FollowSource {
  const limit = pLimit(MAX_CONCURRENT_READS);
  return { ...parts, generation, before, turn: (read) => limit(() => readForOpenStream(read)) };
}

/**
 * Yields the changes of many tasks in pages. A follower can resume after any page. Between two rounds, the server holds
 * no state for a task or a follower: the store finds the changes since the cursor's snapshot, and the feed only signals
 * when to scan. The first page comes at once and is empty. After heartbeatMs without changes, another empty page comes.
 *
 * Every cursor survives a crash of the database, because it holds only durable snapshots. A cursor of before a move to
 * another shard continues on the shard before until it has everything of there.
 *
 * @throws InvalidArgument for a cursor that is of another database, too old, from before a failover that may have lost
 *   commits, or from before a move whose old rows are gone; StoreUnavailable, or the signal's reason
 */
export async function* followTasks(
  source: FollowSource,
  query: FollowTasksQuery,
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  const { cursor } = query;
  if (cursor === null || cursor.generation === source.generation) return yield* followHere(source, query, signal);
  yield* finishBefore(source, { ...query, cursor }, signal);
  const { generation } = source;
  const opening: FollowCursor = { generation, seen: source.before!.opening, round: null };
  yield* followHere(source, { ...query, cursor: opening }, signal);
}

/** Yields what a follower has not received of the shard before. Nothing changes there, so one whole round has all. */
async function* finishBefore(
  source: FollowSource,
  query: FollowTasksQuery & { cursor: FollowCursor },
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  const { before } = source;
  let { cursor } = query;
  const generation = source.generation - 1;
  if (before === null || cursor.generation !== generation) refuseGeneration(cursor, source.generation);
  const left: ChangeSource = { ...source, db: before.db, generation };
  const requireRows = async () => {
    if (!(await hasMovedRows(left.db, left.namespace))) refuseGeneration(cursor, source.generation);
  };
  await requireRows();
  requireComparable(cursor, await readSnapshot(left.db, { isGiven: false }));
  yield emptyPage(cursor);
  for (let isWhole = false; !isWhole;) {
    isWhole = cursor.round === null; // Else the round began before the move.
    for await (const page of scanChanges(left, query, cursor, { mustBeDurable: false })) {
      signal.throwIfAborted();
      cursor = page.cursor;
      const tasks = await withoutRemoved(source, page.tasks);
      if (tasks.length > 0) yield { ...page, tasks };
    }
  }
  await requireRows(); // Else rows may have been deleted before they were read.
}

/** Leaves out tasks that were removed after the move: the shard before still has them. */
async function withoutRemoved(
  { db, namespace, turn }: FollowSource,
  tasks: FollowedPage["tasks"],
): Promise<FollowedPage["tasks"]> {
  if (tasks.length === 0) return tasks;
  const taskIds = tasks.map(({ taskId }) => taskId);
  const states = await turn(() => readStates(db, { namespace, taskIds }));
  const left = new Set(states.map(({ taskId }) => taskId));
  return tasks.filter(({ taskId }) => left.has(taskId));
}

async function* followHere(
  source: FollowSource,
  query: FollowTasksQuery,
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  const { generation } = source;
  using wakeup = source.feed.subscribeToAll(signal); // Before the first scan, so that no commit falls between.
  const isGiven = query.cursor === null && !query.fromStart;
  const now = await readSnapshot(source.db, { isGiven });
  let cursor = query.cursor ?? (query.fromStart ? fromStart(generation) : { generation, seen: now, round: null });
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
  const { generation, seen } = cursor;
  return { generation, seen, target: seen, tasks: [], cursor };
}
