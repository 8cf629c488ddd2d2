import type { Grants } from "./principal.ts";
import type { Limits } from "./tenant-limits.ts";

/** A token of a caller, without its secret. */
export interface StoredToken {
  /** A UUID. */
  tokenId: string;
  name: string;
  grants: Grants;
  limits: Limits;
  createdAt: Date;
  createdBy: string;
  /** null: never. */
  expiresAt: Date | null;
  /** null: not revoked. */
  revokedAt: Date | null;
}
