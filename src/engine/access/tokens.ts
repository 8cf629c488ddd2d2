import { createHash, randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { v7 as uuidv7 } from "uuid";
import { TokenNotFound } from "../../domain/errors.ts";
import { contains, requireGrants } from "../../domain/grants.ts";
import { LIST_TOKENS_MAX } from "../../domain/limits.ts";
import { ANY } from "../../domain/principal.ts";
import type { Grants, Principal } from "../../domain/principal.ts";
import type { StoredToken } from "../../domain/stored-token.ts";
import { insertToken, listTokens, lockToken, revokeToken } from "../../store/access/tokens.ts";
import type { TokenRow } from "../../store/access/tokens.ts";
import type { Store } from "../../store/database.ts";
import type { ServiceAdmin } from "../api/service-admin.ts";
import { audited } from "./audited.ts";

const TOKEN_PREFIX = "spool_";
const TOKEN_BYTES = 32;

/** Creates, lists and revokes the tokens of callers. */
export function tokenAdmin(
  { db }: Pick<Store, "db">,
  log: Logger,
): Pick<ServiceAdmin, "createToken" | "listTokens" | "revokeToken"> {
  return {
    async createToken(by, { name, grants, limits, expiresAt }) {
      requireGrants(by, grants);
      const token = `${TOKEN_PREFIX}${randomBytes(TOKEN_BYTES).toString("base64url")}`;
      const digest = createHash("sha256").update(token).digest();
      const tokenId = uuidv7();
      const created = await audited({ db, log }, async (trx, record) => {
        const row = await insertToken(trx, { tokenId, digest, name, grants, limits, createdBy: by.name, expiresAt });
        const { scopes, namespaces, kinds, labels } = grants;
        const details = { name, namespaces, scopes, kinds, labels, limits, expires_at: expiresAt };
        record({ ...act(by, "token.create", row), details });
        return row;
      });
      return { token, created: withoutDigest(created) };
    },

    async listTokens(by) {
      const tokens: StoredToken[] = [];
      let page: TokenRow[];
      do {
        const before = page! && page.at(-1)!.tokenId;
        page = await listTokens(db, { before, limit: LIST_TOKENS_MAX + 1 });
        for (const row of page) if (contains(by, row.grants)) tokens.push(withoutDigest(row));
      } while (page.length > LIST_TOKENS_MAX && tokens.length <= LIST_TOKENS_MAX);
      return { tokens: tokens.slice(0, LIST_TOKENS_MAX), hasMore: tokens.length > LIST_TOKENS_MAX };
    },

    async revokeToken(by, tokenId) {
      return audited({ db, log }, async (trx, record) => {
        const row = await lockToken(trx, tokenId);
        if (row === undefined || !contains(by, row.grants)) throw new TokenNotFound(tokenId);
        if (row.revokedAt !== null) return withoutDigest(row);
        const revoked = await revokeToken(trx, { tokenId, by: by.name });
        record({ ...act(by, "token.revoke", row), details: { name: row.name } });
        return withoutDigest(revoked);
      });
    },
  };
}

function act(by: Principal, action: string, { tokenId, grants }: TokenRow) {
  return { actor: by.name, action, target: tokenId, namespace: onlyNamespace(grants) };
}

/** Returns the namespace of a token for one namespace; null: the token concerns several. */
function onlyNamespace({ namespaces }: Grants): string | null {
  const [only, ...others] = namespaces;
  return only === undefined || others.length > 0 || only.endsWith(ANY) ? null : only;
}

function withoutDigest(row: TokenRow): StoredToken {
  const { tokenId, name, grants, limits, createdAt, createdBy, expiresAt, revokedAt } = row;
  return { tokenId, name, grants, limits, createdAt, createdBy, expiresAt, revokedAt };
}
