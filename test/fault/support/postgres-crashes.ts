import { setTimeout } from "node:timers/promises";
import pg from "pg";
import type { PostgresServer } from "../../support/postgres.ts";
import type { Findings } from "./scenario.ts";

/** So long the service has the database for itself after each start: what ids are used again, its transactions use. */
const UNDISTURBED_MS = 900;
const CLIENTS = 3;
/** Transactions that each of them sends, before the moment that is looked at and again after it. */
const TRANSACTIONS_AT_ONCE = 20;
/** Every second one is rolled back. */
const TAKE_IDS = Array.from(
  { length: TRANSACTIONS_AT_ONCE },
  (_, index) => `begin; select pg_current_xact_id()::text as xid; ${index % 2 === 0 ? "commit" : "rollback"}`,
).join("; ");

/** What the crashes are counted by after which ids were used again. */
export const REUSED = "crashes after which transaction ids were used again";

/** What the scenario does around each crash. */
interface CrashHooks {
  /** Ids have been taken: the crash comes as soon as this resolves. */
  beforeCrash(crash: number): Promise<void>;
  /** Postgres answers again: what is written now has the ids that are used again. */
  afterCrash(crash: number): Promise<void>;
}

/**
 * Kills all of a Postgres with SIGKILL over and over, and starts it again, beside transactions that take an id and are
 * aborted or write nothing: what tells of these need not have been flushed, so that their ids are used again.
 */
export async function crashPostgres(
  server: PostgresServer,
  { crashes, beforeCrash, afterCrash }: CrashHooks & { crashes: number },
  findings: Findings,
): Promise<void> {
  for (let crash = 0; crash < crashes; crash++) {
    await setTimeout(UNDISTURBED_MS);
    using _lock = await lockTables(server.url); // A commit of the service would flush what is to be lost.
    const last = { xid: 0n };
    const takeSome = () => Promise.all(Array.from({ length: CLIENTS }, () => takeIds(server.url, last)));
    await takeSome();
    await beforeCrash(crash);
    await takeSome();
    findings.count("transactions that took an id and wrote nothing", 2 * CLIENTS * TRANSACTIONS_AT_ONCE);
    await server.kill();
    await server.start();
    const next = await nextXid(server.url);
    findings.count("crashes of Postgres");
    if (next <= last.xid) {
      findings.count(REUSED);
      findings.count("transaction ids that were used again", Number(last.xid - next) + 1);
    }
    await afterCrash(crash);
  }
}

/** Holds up whoever writes to the tables of the service, until it is disposed of or the server is gone. */
async function lockTables(url: string): Promise<Disposable> {
  const client = new pg.Client(url);
  client.on("error", () => {}); // Its server is killed.
  await client.connect();
  await client.query("begin; lock table sessions, tasks, task_events, task_requests in exclusive mode");
  return { [Symbol.dispose]: () => void client.end().catch(() => {}) };
}

async function takeIds(url: string, last: { xid: bigint }): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  const results = (await client.query(TAKE_IDS)) as unknown as pg.QueryResult<{ xid: string }>[];
  const xid = BigInt(results.findLast(({ rows }) => rows.length > 0)!.rows[0]!.xid);
  if (xid > last.xid) last.xid = xid;
  await client.end();
}

async function nextXid(url: string): Promise<bigint> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ xid: string }>("select pg_snapshot_xmax(pg_current_snapshot())::text as xid");
    return BigInt(rows[0]!.xid);
  } finally {
    await client.end();
  }
}
