import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { eventually } from "../../support/eventually.ts";
import { startServer } from "../../support/postgres.ts";
import type { PostgresServer } from "../../support/postgres.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import type { TcpProxy } from "../../support/tcp-proxy.ts";

const STANDBY = "standby";
/** What was under way at a primary that takes no writes any more has ended by then. */
const UNDER_WAY_MS = 300;

/** A primary and its streaming standby. Disposing stops both. */
export interface PostgresPair extends AsyncDisposable {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** The way to whichever is the primary: new connections go there, those that are open stay where they are. */
  readonly url: string;
  /** Nothing more of the primary's log arrives at the standby. */
  cutReplication(): void;
  /** From here on the primary takes no writes, and answers reads as before. */
  demote(): Promise<void>;
  /** Makes the standby a primary, and leads new connections there once that is done. */
  promote(): Promise<void>;
}

/** @param isSynchronous whether a commit waits until the standby has it */
export async function startPair({ isSynchronous }: { isSynchronous: boolean }): Promise<PostgresPair> {
  await using opened = new AsyncDisposableStack();
  const primary = opened.use(await startServer({ settings: { wal_level: "replica" } }));
  await primary.stop();
  const replication: TcpProxy = opened.use(await startTcpProxy(() => new URL(primary.url).host));
  const conninfo = `host=127.0.0.1 port=${new URL(`tcp://${replication.address}`).port} user=postgres application_name=${STANDBY}`;
  const standby = opened.use(
    await startServer({
      copyOf: primary.data,
      files: { "standby.signal": "" },
      settings: { primary_conninfo: conninfo },
    }),
  );
  await primary.start();
  await eventually(
    async () => {
      const [row] = await ask(primary.url, "select 1 from pg_stat_replication where state = 'streaming'");
      if (row === undefined) throw new Error("no standby streams");
    },
    { timeoutMs: 30_000, describe: "the standby streams" },
  );
  if (isSynchronous) await administer(primary.url, "synchronous_standby_names", STANDBY);
  let target = new URL(primary.url).host;
  const way = opened.use(await startTcpProxy(() => target));
  const url = new URL(primary.url);
  url.host = way.address;
  const both = opened.move();
  return {
    primary,
    standby,
    url: url.href,
    cutReplication: () => replication.silence(),
    async demote() {
      await administer(primary.url, "default_transaction_read_only", "on");
      await setTimeout(UNDER_WAY_MS);
    },
    async promote() {
      await ask(standby.url, "select pg_promote()");
      target = new URL(standby.url).host;
    },
    [Symbol.asyncDispose]: () => both.disposeAsync(),
  };
}

/** Asks a server past the service, and past what it is set to. */
export async function ask(url: string, statement: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement, values)).rows;
  } finally {
    await client.end();
  }
}

async function administer(url: string, setting: string, value: string): Promise<void> {
  await ask(url, `alter system set ${setting} = '${value}'`);
  await ask(url, "select pg_reload_conf()");
}
