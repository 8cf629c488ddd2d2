import { InvalidArgument, StoreUnavailable } from "./errors.ts";
import { NOTHING, SNAPSHOT_AGE_MAX } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * The position of a follower of many tasks. The follower has received everything visible in `seen`. Later changes are
 * sent in rounds. A round sends what is visible in its `target` but not in `seen`, task by task, in the order of their
 * places. At the end of a round, its target becomes `seen`. So a cursor takes a few dozen bytes for any number of
 * tasks. A transaction that commits late is not visible in `seen`, whatever its number, and is sent in a later round.
 */
export interface FollowCursor {
  /** How often the namespace had been moved to another shard when the snapshots were taken. */
  generation: number;
  seen: Snapshot;
  /** null: no round is under way. */
  round: { target: Snapshot; place: Place } | null;
}

/**
 * The progress of a round. Tasks that had ended in its target come first, by the transaction that ended them and then
 * by id. The other tasks follow, by id.
 */
export interface Place {
  /** The transaction that ended the task; null: it had not ended. */
  endedXid: bigint | null;
  taskId: string;
  /** The last seq of the task that was sent; null: everything that the round has of the task was sent. */
  seq: bigint | null;
}

/** The place before the first task. */
export const FIRST_PLACE: Place = { endedXid: 0n, taskId: "00000000-0000-0000-0000-000000000000", seq: null };

/** Returns the cursor that starts with everything stored. */
export function fromStart(generation: number): FollowCursor {
  return { generation, seen: NOTHING, round: null };
}

/**
 * Checks that a cursor can be compared with a current snapshot of the database: transaction numbers must have the same
 * meaning in both.
 *
 * @throws InvalidArgument for a cursor of another database, a cursor that is too old, or a cursor from before a
 *   failover that may have lost commits; StoreUnavailable if a database answered that was replaced by a failover
 */
export function requireComparable({ seen, round }: Pick<FollowCursor, "seen" | "round">, now: Snapshot): void {
  const snapshots = round === null ? [seen] : [seen, round.target];
  for (const snapshot of snapshots.filter(({ xmax }) => xmax !== 0n)) {
    requireTimeline(snapshot, now);
    if (snapshot.xmax > now.xmax) refuse("must be of this database, which has fewer transactions");
    if (now.xmax - snapshot.xmax > SNAPSHOT_AGE_MAX) {
      refuse(`must be at most ${SNAPSHOT_AGE_MAX} database transactions old`);
    }
  }
}

/**
 * Refuses a cursor of a database that the namespace has left, and whose rows are gone.
 *
 * @throws InvalidArgument
 */
export function refuseGeneration({ generation }: FollowCursor, current: number): never {
  const which = generation > current ? "before a restore of the first shard" : "before a move to another shard";
  refuse(`is of ${which} (generation ${generation}, now ${current}): start again with from_start`);
}

function requireTimeline(snapshot: Snapshot, now: Snapshot): void {
  const [then, current] = [snapshot.timeline, now.timeline];
  if (then === null || current === null || then === current) return;
  if (then > current) {
    throw new StoreUnavailable(
      new Error(`the database is on timeline ${current}, the cursor on ${then}: a failover has replaced this database`),
    );
  }
  if (snapshot.isReplicated) return;
  refuse(
    `must be from after the last failover or restore of the database (timeline ${current}, cursor on ${then}): ` +
      "commits that the stream sent may be lost; start again without a cursor",
  );
}

function refuse(description: string): never {
  throw new InvalidArgument([{ field: "cursor", description }]);
}
