import { sql } from "kysely";
import type { Kysely, Transaction } from "kysely";
import type { Grants } from "../../domain/principal.ts";
import type { StoredToken } from "../../domain/stored-token.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import type { Database } from "../schema.ts";

/** A stored token. Times are by the database's clock. */
export interface TokenRow extends StoredToken {
  /** SHA-256 of the token. */
  digest: Buffer;
  changedAt: Date;
}

const COLUMNS = [
  "token_id as tokenId",
  "digest",
  "name",
  "grants",
  "created_at as createdAt",
  "created_by as createdBy",
  "expires_at as expiresAt",
  "revoked_at as revokedAt",
  "changed_at as changedAt",
] as const;

/** Inserts a token. */
export async function insertToken(
  trx: Transaction<Database>,
  { grants, limits, ...token }: Omit<TokenRow, "createdAt" | "revokedAt" | "changedAt">,
): Promise<TokenRow> {
  const row = await trx
    .insertInto("tokens")
    .values({
      token_id: token.tokenId,
      digest: token.digest,
      name: token.name,
      grants: JSON.stringify({ ...grants, limits }),
      created_by: token.createdBy,
      expires_at: token.expiresAt,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return readRow(row);
}

/** Returns a token and locks its row; undefined: there is none. */
export async function lockToken(trx: Transaction<Database>, tokenId: string): Promise<TokenRow | undefined> {
  const row = await trx
    .selectFrom("tokens")
    .select(COLUMNS)
    .where("token_id", "=", tokenId)
    .forUpdate()
    .executeTakeFirst();
  return row && readRow(row);
}

/** Revokes a token. Servers find it by changed_at. */
export async function revokeToken(trx: Transaction<Database>, { tokenId, by }: { tokenId: string; by: string }) {
  const now = sql<Date>`now()`;
  const row = await trx
    .updateTable("tokens")
    .set({ revoked_at: now, revoked_by: by, changed_at: now })
    .where("token_id", "=", tokenId)
    .returning(COLUMNS)
    .executeTakeFirstOrThrow();
  return readRow(row);
}

/** Lists tokens, newest first. @param before the last token of the previous page; undefined: the first page */
export async function listTokens(
  db: Kysely<Database>,
  { before, limit }: { before?: string | undefined; limit: number },
): Promise<TokenRow[]> {
  // The ids rise with the time.
  let query = db.selectFrom("tokens").select(COLUMNS).orderBy("token_id", "desc").limit(limit);
  if (before !== undefined) query = query.where("token_id", "<", before);
  return (await query.execute()).map(readRow);
}

/** Lists the tokens that are neither revoked nor expired, newest first. */
export async function listValidTokens(db: Kysely<Database>, limit: number): Promise<TokenRow[]> {
  const rows = await db
    .selectFrom("tokens")
    .select(COLUMNS)
    .where("revoked_at", "is", null)
    .where(({ or, eb }) => or([eb("expires_at", "is", null), eb("expires_at", ">", sql<Date>`now()`)]))
    .orderBy("token_id", "desc")
    .limit(limit)
    .execute();
  return rows.map(readRow);
}

/** Returns the database's time. */
export async function readClock(db: Kysely<Database>): Promise<Date> {
  const { now } = await db.selectNoFrom(sql<Date>`now()`.as("now")).executeTakeFirstOrThrow();
  return now;
}

/** Lists the tokens that have changed since a time, in the order of their changes. */
export async function listChangedTokens(
  db: Kysely<Database>,
  { since, limit }: { since: Date; limit: number },
): Promise<TokenRow[]> {
  const rows = await db
    .selectFrom("tokens")
    .select(COLUMNS)
    .where("changed_at", ">=", since)
    .orderBy("changed_at")
    .limit(limit)
    .execute();
  return rows.map(readRow);
}

/** Returns the tokens with these digests, in any state. */
export async function findTokens(db: Kysely<Database>, digests: readonly Buffer[]): Promise<TokenRow[]> {
  const rows = await db.selectFrom("tokens").select(COLUMNS).where("digest", "in", digests).execute();
  return rows.map(readRow);
}

type Selected = Omit<TokenRow, "grants" | "limits"> & { grants: Grants & { limits: Limits } };

function readRow({ grants: { limits, ...grants }, digest, ...row }: Selected): TokenRow {
  return { ...row, digest: Buffer.from(digest), grants, limits }; // PGlite returns a Uint8Array.
}
