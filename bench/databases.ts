import { setTimeout } from "node:timers/promises";
import pg from "pg";

/** A database of a measure's own. Disposing drops it, whoever is still connected. */
export interface OwnDatabase extends AsyncDisposable {
  readonly url: string;
}

let made = 0;

export async function createDatabase(serverUrl: string): Promise<OwnDatabase> {
  const name = `bench_${++made}`;
  await query(serverUrl, `create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = name;
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await query(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

export async function readVersion(url: string): Promise<string> {
  const [row] = await query<{ server_version: string }>(url, "show server_version");
  return row!.server_version;
}

const SETTLE_MS_MAX = 30_000;
const AUTOVACUUM = "select from pg_stat_activity where backend_type = 'autovacuum worker'";

/**
 * Has the server do now what it would do in its own time, in the middle of what is timed: earlier measures have left it
 * pages to write and tables to clean. Waits for that so long at the most, and goes on then.
 */
export async function settle(url: string): Promise<void> {
  await query(url, "checkpoint");
  for (const until = performance.now() + SETTLE_MS_MAX; performance.now() < until; await setTimeout(200)) {
    if ((await query(url, AUTOVACUUM)).length === 0) return;
  }
}

/** Runs statements on a connection of their own. @returns the rows of the last */
export async function query<Row extends object>(url: string, ...statements: string[]): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of statements) ({ rows } = await client.query<Row>(statement));
    return rows;
  } finally {
    await client.end();
  }
}
