import type { NamespaceState } from "../../domain/namespace-state.ts";
import type { AuditEvent } from "../../domain/audit-event.ts";
import type { Principal, Scope } from "../../domain/principal.ts";
import type { StoredToken } from "../../domain/stored-token.ts";
import type { Limits } from "../../domain/tenant-limits.ts";

/** Acts in their order. */
export interface AuditPage {
  events: readonly AuditEvent[];
  /** The position to come back with. */
  nextFromId: bigint;
}

/**
 * What operators do with a service. A caller can only give rights that it has itself, in namespaces that it may use.
 * Each change and its event in the audit log are one commit. Every call may throw StoreUnavailable and PermissionDenied.
 */
export interface ServiceAdmin {
  createToken(
    by: Principal,
    wanted: Pick<StoredToken, "name" | "grants" | "limits" | "expiresAt">,
  ): Promise<{ token: string; created: StoredToken }>;

  /** Returns the tokens that the caller could have created, newest first, at most LIST_TOKENS_MAX. */
  listTokens(by: Principal): Promise<{ tokens: StoredToken[]; hasMore: boolean }>;

  /** @throws TokenNotFound */
  revokeToken(by: Principal, tokenId: string): Promise<StoredToken>;

  /** Creates or changes a namespace. @param limits null: they stay as they are */
  setNamespace(by: Principal, wanted: { name: string; limits: Limits | null }): Promise<NamespaceState>;

  listNamespaces(by: Principal): Promise<NamespaceState[]>;

  /**
   * Yields the acts from a position on that concern the namespaces of the caller. Yields an empty page when all acts that
   * were stored before the call have come, and as a heartbeat. Never ends by itself.
   *
   * @throws PermissionDenied if the caller sees only some tasks
   */
  followAuditLog(by: Principal, query: { fromId: bigint }, signal: AbortSignal): AsyncIterable<AuditPage>;

  /**
   * Signs a token for one task, which the caller sees.
   *
   * @param wanted.notAfter when the caller's own credential expires; null: never, or it is not known
   * @throws PermissionDenied if the caller lacks one of the scopes
   */
  createTaskToken(
    by: Principal,
    wanted: {
      namespace: string;
      taskId: string;
      scopes: readonly Scope[];
      ttlMs: number;
      notAfter: Date | null;
    },
  ): Promise<{ token: string; expiresAt: Date }>;
}
