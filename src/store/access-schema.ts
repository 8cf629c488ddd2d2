import type { ColumnType, Generated } from "kysely";
import type { Grants } from "../domain/principal.ts";
import type { Limits } from "../domain/tenant-limits.ts";

/** A namespace that was created; the namespace of the servers' settings needs no row. */
export interface NamespaceTable {
  name: string;
  limits: ColumnType<Limits, string, string>;
  created_at: Generated<Date>;
  created_by: string;
  changed_at: Generated<Date>;
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
