import { eventually } from "../../support/eventually.ts";
import { startServer } from "../../support/postgres.ts";
import type { PostgresServer, ServerOptions } from "../../support/postgres.ts";
import { ask } from "../../fault/support/failing-over.ts";

const STANDBY = "standby";
const STREAMS_MS_MAX = 30_000;

/** A Postgres server whose place a standby can take. Its URL changes then. */
export class PromotableServer implements PostgresServer {
  readonly #settings: NonNullable<ServerOptions["settings"]>;
  #current: PostgresServer;

  private constructor(server: PostgresServer, settings: NonNullable<ServerOptions["settings"]>) {
    this.#current = server;
    this.#settings = settings;
  }

  static async start(settings: NonNullable<ServerOptions["settings"]>): Promise<PromotableServer> {
    return new PromotableServer(await startServer({ settings }), settings);
  }

  get url(): string {
    return this.#current.url;
  }

  get data(): string {
    return this.#current.data;
  }

  start = () => this.#current.start();
  stop = () => this.#current.stop();
  stopAtOnce = () => this.#current.stopAtOnce();
  kill = () => this.#current.kill();

  /**
   * Gives the server a synchronous standby, kills it, and promotes the standby to its place. The server is restarted
   * first, because its data are copied.
   *
   * @param hold what happens while the standby follows
   */
  async promoteStandby(hold: () => Promise<void>): Promise<void> {
    const primary = this.#current;
    await using failed = new AsyncDisposableStack();
    failed.defer(() => withoutStandby(primary));
    await primary.stop();
    const { hostname, port } = new URL(primary.url);
    const conninfo = `host=${hostname} port=${port} user=postgres application_name=${STANDBY}`;
    const standby = failed.use(
      await startServer({
        copyOf: primary.data,
        files: { "standby.signal": "" },
        settings: { ...this.#settings, primary_conninfo: conninfo },
      }),
    );
    await primary.start();
    await ask(primary.url, `alter system set synchronous_standby_names = '${STANDBY}'`);
    await ask(primary.url, "select pg_reload_conf()");
    await eventually(() => requireInSync(primary.url), { timeoutMs: STREAMS_MS_MAX, describe: "the standby follows" });
    await hold();
    await primary.kill();
    await ask(standby.url, "select pg_promote()");
    failed.move();
    this.#current = standby;
    await primary[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current[Symbol.asyncDispose]();
  }
}

/** Starts a server whose standby could not take its place. Its commits must not wait for the standby any more. */
async function withoutStandby(primary: PostgresServer): Promise<void> {
  await primary.start();
  await ask(primary.url, "alter system reset synchronous_standby_names");
  await ask(primary.url, "select pg_reload_conf()");
}

/** Checks that the standby has all that was committed before commits waited for it. */
async function requireInSync(url: string): Promise<void> {
  const [row] = await ask(
    url,
    "select 1 from pg_stat_replication where sync_state = 'sync' and flush_lsn >= pg_current_wal_lsn()",
  );
  if (row === undefined) throw new Error("the standby is not in sync");
}
