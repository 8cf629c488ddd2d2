import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import type { Kysely } from "kysely";
import { v7 as uuidv7 } from "uuid";
import type { Database } from "../schema.ts";

/** A key signs new tokens for this long. */
const KEY_SIGNS_DAYS = 30;
/** A key is deleted when all of its tokens have expired: the longest is valid for 7 days. One more day is a margin. */
const KEY_KEPT_DAYS = KEY_SIGNS_DAYS + 8;
const KEY_BYTES = 32;

/** Of the servers that find no key at once, one makes it, and the others wait. */
const LOCK = sql`select pg_advisory_xact_lock(hashtextextended('spool signing_keys', 0))`;

export interface SigningKeyRow {
  keyId: string;
  secret: Buffer;
  /** Whether the key may sign new tokens, by the database's clock. */
  isNew: boolean;
}

/** Reads all keys, newest first. */
export async function readSigningKeys(db: Kysely<Database>): Promise<SigningKeyRow[]> {
  const rows = await db
    .selectFrom("signing_keys")
    .select(["key_id as keyId", "secret", isYoungerThan(KEY_SIGNS_DAYS).as("isNew")])
    .orderBy("created_at", "desc")
    .orderBy("key_id", "desc")
    .execute();
  return rows.map(({ secret, ...row }) => ({ ...row, secret: Buffer.from(secret) })); // PGlite returns a Uint8Array.
}

/** Makes a new key unless there is one that may sign, and deletes the keys whose tokens have all expired. */
export async function renewSigningKeys(db: Kysely<Database>): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await LOCK.execute(trx);
    // A statement of its own: its snapshot is newer than the lock.
    const keys = await readSigningKeys(trx);
    if (keys.some(({ isNew }) => isNew)) return;
    // The ages are compared with the time of the commit before, not with the start of a transaction that has waited.
    const made = { key_id: uuidv7(), secret: randomBytes(KEY_BYTES), created_at: sql<Date>`clock_timestamp()` };
    await trx.insertInto("signing_keys").values(made).execute();
    await trx
      .deleteFrom("signing_keys")
      .where(({ not }) => not(isYoungerThan(KEY_KEPT_DAYS)))
      .execute();
  });
}

function isYoungerThan(days: number) {
  return sql<boolean>`created_at > now() - make_interval(days => ${days})`;
}
