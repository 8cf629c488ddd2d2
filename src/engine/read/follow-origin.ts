import type { Kysely } from "kysely";
import type { Snapshot } from "../../domain/snapshot.ts";
import type { Database } from "../../store/schema.ts";

/** Where a namespace was before its last move to another shard. Followers of many tasks need it. */
export interface FollowOrigin {
  /** How often the namespace has been moved. */
  generation: number;
  /** null: the namespace was never moved, or its rows on the shard before are gone. */
  before: {
    /** The shard before. Nothing of the namespace changes there any more. */
    db: Kysely<Database>;
    /** A snapshot of this shard, in which all rows of the shard before are visible, and nothing newer. */
    opening: Snapshot;
  } | null;
}

/** The origin of a namespace that was never moved. */
export const NEVER_MOVED: FollowOrigin = { generation: 0, before: null };
