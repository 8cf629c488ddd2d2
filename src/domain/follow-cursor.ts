import { InvalidArgument, StoreUnavailable } from "./errors.ts";
import { NOTHING, SNAPSHOT_AGE_MAX } from "./snapshot.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Where a follower of many tasks stands. All that was visible in `seen` has been given. What became visible after it is
 * given in rounds: a round gives what is visible in its `target` and not in `seen`, task by task, in the order of their
 * places; when it is done its target is what has been seen. So a cursor is a few dozen bytes however many tasks there
 * are, and a transaction that commits late is not visible in `seen`, whatever its number: it is given in a later round.
 */
export interface FollowCursor {
  seen: Snapshot;
  /** null: no round is under way. */
  round: { target: Snapshot; place: Place } | null;
}

/**
 * How far a round has come. Tasks that had ended in its target come first, by the transaction that ended them and then
 * by id; then the others, by id.
 */
export interface Place {
  /** The transaction that ended the task; null: it had not ended. */
  endedXid: bigint | null;
  taskId: string;
  /** Its events up to here have been given; null: all that the round has of it. */
  seq: bigint | null;
}

/** The place before the first. */
export const FIRST_PLACE: Place = { endedXid: 0n, taskId: "00000000-0000-0000-0000-000000000000", seq: null };

/** Where to begin to be given all that is stored. */
export const FROM_START: FollowCursor = { seen: NOTHING, round: null };

/**
 * Checks that a cursor can be compared with a snapshot of the database as it is now: that the numbers of transactions
 * mean the same in both.
 *
 * @throws InvalidArgument for a cursor of another database, one that is too old, and one from before a failover that
 *   may have lost commits; StoreUnavailable where the answer came from a database that has been failed over from
 */
export function requireComparable({ seen, round }: FollowCursor, now: Snapshot): void {
  const snapshots = round === null ? [seen] : [seen, round.target];
  for (const snapshot of snapshots.filter(({ xmax }) => xmax !== 0n)) {
    requireTimeline(snapshot, now);
    if (snapshot.xmax > now.xmax) refuse("must be of this database, which has not come that far");
    if (now.xmax - snapshot.xmax > SNAPSHOT_AGE_MAX) {
      refuse(`must be at most ${SNAPSHOT_AGE_MAX} transactions of the database old`);
    }
  }
}

function requireTimeline(snapshot: Snapshot, now: Snapshot): void {
  const [then, current] = [snapshot.timeline, now.timeline];
  if (then === null || current === null || then === current) return;
  if (then > current) {
    throw new StoreUnavailable(
      new Error(`the database that answered is on timeline ${current}, the cursor on ${then}: it was failed over from`),
    );
  }
  if (snapshot.isReplicated) return;
  refuse(
    `must be of the database since its last failover or restore (timeline ${current}, the cursor is of ${then}): ` +
      "commits may be lost that the stream has given; begin again without a cursor",
  );
}

function refuse(description: string): never {
  throw new InvalidArgument([{ field: "cursor", description }]);
}
