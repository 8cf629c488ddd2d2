import { NOTHING } from "./snapshot.ts";
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
