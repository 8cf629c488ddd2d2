import type { JsonObject } from "./json.ts";

/** An administrative act, before it is recorded. */
export interface Act {
  /** The name of the principal. */
  actor: string;
  /** Such as `token.create`. docs/audit.md lists them. */
  action: string;
  /** What was changed, such as the id of a token. Never a secret. */
  target: string;
  /** null: the act concerns the whole service. */
  namespace: string | null;
  details: Readonly<Record<string, unknown>>;
}

/** An act in the audit log. */
export interface AuditEvent extends Act {
  /** Ascending. Numbers may be missing. */
  auditId: bigint;
  time: Date;
  details: JsonObject;
}
