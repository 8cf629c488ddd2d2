import { sql } from "kysely";
import type { Kysely } from "kysely";
import pg from "pg";
import { Dialer } from "./dialer.ts";
import { checkWritable } from "./session-check.ts";
import type { Database } from "../schema.ts";

/** Postgres takes payloads below 8,000 bytes. */
export const NOTIFICATION_BYTES_MAX = 7_900;
/** A connection that says nothing is asked this often whether it is still there, and still leads to the primary. */
const PING_MS = 2_000;

/** Sends a payload to all listeners of the channel. It is a hint: no listener may rely on its arrival. */
export async function notify(db: Kysely<Database>, channel: string, payload: string): Promise<void> {
  await sql`/* spool_notify */ select pg_notify(${channel}, ${payload})`.execute(db);
}

/** A connection that listens. */
export interface Listener {
  /** Resolves when the connection is gone, however it went. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

/**
 * Listens on a channel, on a connection of its own. It does not come back by itself: what was sent while nobody
 * listened is gone, so whoever listens again has to look for himself what he missed.
 *
 * @throws where the server cannot be reached
 */
export async function listen(url: string, channel: string, onPayload: (payload: string) => void): Promise<Listener> {
  const { client } = await new Dialer(url, { applicationName: "spool listener" }).dial();
  const lost = Promise.withResolvers<void>();
  client.on("error", () => lost.resolve());
  client.on("end", () => lost.resolve());
  client.on("notification", ({ payload = "" }) => onPayload(payload));
  try {
    await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    client.destroy();
    throw error;
  }
  // A peer that vanished without a word would leave this waiting for ever, and one that is the primary no more is told
  // of nothing.
  const ping = setInterval(() => void checkWritable(client).catch(() => lost.resolve()), PING_MS);
  void lost.promise.then(() => clearInterval(ping));
  return {
    lost: lost.promise,
    async close() {
      lost.resolve();
      await client.end().catch(() => {});
    },
  };
}
