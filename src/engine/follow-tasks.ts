import { setTimeout } from "node:timers/promises";
import pLimit from "p-limit";
import { InvalidArgument } from "../domain/errors.ts";
import { FROM_START } from "../domain/follow-cursor.ts";
import type { FollowCursor } from "../domain/follow-cursor.ts";
import { SNAPSHOT_AGE_MAX } from "../domain/snapshot.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { readSnapshot } from "../store/snapshots.ts";
import type { Feed } from "./feed.ts";
import { readPatiently } from "./patient-read.ts";
import { giveRound } from "./round.ts";
import type { RoundSource } from "./round.ts";
import type { FollowedPage, FollowTasksQuery } from "./task-engine.ts";

/** Whether something was committed is looked at so often, though nobody said so. */
const POLL_MS = 1_000;
/** A follower rests between two rounds, and longer the more they cost: it takes a third of a connection at the most. */
const REST_MS_MIN = 5;
const REST_RATIO = 2;

/** How many reads of the store are under way at once for all who follow many tasks: the rest of it is for the others. */
const READS_AT_ONCE = 2;

/** What those who follow many tasks stand on. */
export interface FollowSource extends RoundSource {
  feed: Feed;
}

/** One for all who follow: what they read in turn, they read by this. */
export function openFollowSource(parts: Omit<FollowSource, "turn">): FollowSource {
  const limit = pLimit(READS_AT_ONCE);
  return { ...parts, turn: (read) => limit(() => readPatiently(read)) };
}

/**
 * Gives what is new of many tasks, in pages, each of which can be come back after. Nothing is kept of one task or for
 * one follower between two rounds: the store says what has changed since the snapshot that the cursor holds, and the
 * feed only when to ask. The first page comes at once, empty; after heartbeatMs without news comes another empty one.
 *
 * @throws InvalidArgument for a cursor that is not of this database or too old, StoreUnavailable, or the signal's reason
 */
export async function* followTasks(
  source: FollowSource,
  query: FollowTasksQuery,
  signal: AbortSignal,
): AsyncGenerator<FollowedPage> {
  using wakeup = source.feed.subscribeToAll(signal); // Before the first look: nothing falls between.
  const now = await readSnapshot(source.db);
  let cursor = query.cursor ?? (query.fromStart ? FROM_START : { seen: now, round: null });
  requireComparable(cursor, now);
  signal.throwIfAborted();
  let quietSince = performance.now();
  yield emptyPage(cursor);
  for (;;) {
    const wasBegun = cursor.round !== null;
    let costMs = 0;
    let began = performance.now();
    for await (const page of giveRound(source, query, cursor)) {
      signal.throwIfAborted();
      cursor = page.cursor;
      if (page.tasks.length === 0) continue;
      costMs += performance.now() - began;
      yield page;
      quietSince = began = performance.now(); // The time that its reader takes is not a cost of the round.
    }
    if (wasBegun) continue; // On another stream: what was committed since its target woke nobody here.
    costMs += performance.now() - began;
    await rest(Math.max(query.intervalMs, REST_MS_MIN, REST_RATIO * costMs), signal);
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

/** Another database counts its transactions by itself, and a number of 32 bits comes round again. */
function requireComparable({ seen, round }: FollowCursor, now: Snapshot): void {
  const newest = round?.target.xmax ?? seen.xmax;
  const oldest = seen.xmax === 0n ? newest : seen.xmax;
  if (newest > now.xmax) refuse("must be of this database, which has not come that far");
  if (newest !== 0n && now.xmax - oldest > SNAPSHOT_AGE_MAX) {
    refuse(`must be at most ${SNAPSHOT_AGE_MAX} transactions of the database old`);
  }
}

function refuse(description: string): never {
  throw new InvalidArgument([{ field: "cursor", description }]);
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}
