import type { ColumnType, Generated } from "kysely";
import type { Grants } from "../domain/principal.ts";
import type { ShardState } from "../domain/shard.ts";
import type { Limits } from "../domain/tenant-limits.ts";

/** A namespace that was created; the namespace of the servers' settings needs no row. */
export interface NamespaceTable {
  name: string;
  limits: ColumnType<Limits, string, string>;
  created_at: Generated<Date>;
  created_by: string;
  changed_at: Generated<Date>;
  /** The shard that the namespace lives on. */
  shard: Generated<string>;
  /** Whether the namespace is being moved, so that no server serves it. */
  is_moving: Generated<boolean>;
  /** How often the namespace has been moved. */
  generation: Generated<number>;
  /** The shard before the last move, if it still has the rows of the namespace. */
  previous_shard: string | null;
  /** A snapshot of the shard after the last move, which shows all rows of before: see moves/stored-snapshot.ts. */
  opening: string | null;
}

/** A move of a namespace that has not been cleaned up. */
export interface NamespaceMoveTable {
  namespace: string;
  from_shard: string;
  to_shard: string;
  phase: "copying" | "closed" | "moved";
  started_at: Generated<Date>;
}

/** A namespace that has moved away from the shard with this row. */
export interface MovedNamespaceTable {
  namespace: string;
  /** Whether all of its rows are still here. */
  has_rows: boolean;
}

/** A shard besides the first one. */
export interface ShardTable {
  name: string;
  /** The URL of its database. */
  url: string;
  standby_url: string | null;
  state: Generated<ShardState>;
  added_at: Generated<Date>;
}

/** A token of a caller. Only its digest is stored. */
export interface TokenTable {
  token_id: string;
  /** SHA-256. */
  digest: Buffer;
  name: string;
  grants: ColumnType<TokenGrants, string, never>;
  created_at: Generated<Date>;
  created_by: string;
  /** null: never. */
  expires_at: Date | null;
  revoked_at: Date | null;
  revoked_by: string | null;
  changed_at: Generated<Date>;
}

/** The rights of a token, and the limits of its callers together. */
export interface TokenGrants extends Grants {
  readonly limits: Limits;
}

/** A key that signs tokens for single tasks. */
export interface SigningKeyTable {
  key_id: string;
  secret: Buffer;
  created_at: Generated<Date>;
}

/** An administrative act. */
export interface AuditEventTable {
  /** From 1, ascending. Numbers may be missing. */
  audit_id: Generated<bigint>;
  time: Generated<Date>;
  /** The namespace that the act concerns; null: the whole service. */
  namespace: string | null;
  /** The name of the principal. */
  actor: string;
  /** Such as `token.create`. */
  action: string;
  /** What was changed, such as the id of a token. */
  target: string;
  details: ColumnType<Readonly<Record<string, unknown>>, string, never>;
}
