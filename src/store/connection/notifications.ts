import { sql } from "kysely";
import type { Kysely } from "kysely";
import pLimit from "p-limit";
import pg from "pg";
import { Dialer } from "./dialer.ts";
import { checkRole } from "./session-check.ts";
import type { Database } from "../schema.ts";

/** The longest payload that is sent. Postgres accepts payloads below 8,000 bytes. */
export const NOTIFICATION_BYTES_MAX = 7_900;
/** How often a listening connection is checked: whether it is open and still leads to the primary. */
const PING_MS = 2_000;

/** Sends a payload to all listeners of the channel. A payload is a hint: it may get lost. */
export async function notify(db: Kysely<Database>, channel: string, payload: string): Promise<void> {
  await sql`/* spool_notify */ select pg_notify(${channel}, ${payload})`.execute(db);
}

/** A connection that listens on channels. */
export interface Listener {
  /** Listens on another channel. @throws if the connection is lost */
  listen(channel: string): Promise<void>;
  /** Resolves when the connection has closed or failed. */
  readonly lost: Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a separate connection to listen on. The listener does not reconnect by itself. Payloads that were sent in
 * between are lost, so after the caller has listened again, it must read the database for missed changes.
 *
 * @throws if the server cannot be reached
 */
export async function openListener(
  url: string,
  onPayload: (channel: string, payload: string) => void,
): Promise<Listener> {
  const { client } = await new Dialer(url, { applicationName: "spool listener" }).dial();
  const lost = Promise.withResolvers<void>();
  client.on("error", () => lost.resolve());
  client.on("end", () => lost.resolve());
  client.on("notification", ({ channel, payload = "" }) => onPayload(channel, payload));
  // If the peer is lost without a sign, the listener would wait forever. A former primary gets no notifications.
  const ping = setInterval(() => void checkRole(client, "primary").catch(() => lost.resolve()), PING_MS);
  void lost.promise.then(() => clearInterval(ping));
  const inTurn = pLimit(1);
  return {
    async listen(channel) {
      await inTurn(() => client.query(`listen ${pg.escapeIdentifier(channel)}`));
    },
    lost: lost.promise,
    async close() {
      lost.resolve();
      await client.end().catch(() => {});
    },
  };
}
