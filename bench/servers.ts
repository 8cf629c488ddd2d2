import { startServer } from "../test/support/postgres.ts";
import { forkProgram } from "./children.ts";
import { createDatabase, readVersion } from "./databases.ts";
import type { OwnDatabase } from "./databases.ts";
import { startSpool } from "./spool-server.ts";
import type { SpoolOptions, SpoolServer } from "./spool-server.ts";

/** What the measures are taken of: each a process of its own, on this machine. */
export interface Servers extends AsyncDisposable {
  readonly postgresVersion: string;
  /** A database without Spool, on the same Postgres. */
  readonly bareDatabaseUrl: string;
  /** A Spool server that the measures share, on the Postgres. */
  readonly spoolAddress: string;
  /** grpc-js with nothing behind it, shared too. */
  readonly bareAddress: string;
  /** An empty database, for a measure that fills one or has a peer use it. */
  createDatabase(): Promise<OwnDatabase>;
  /**
   * A Spool server on a database of its own: with nobody else's tasks, and nobody else's memory; or on the database that
   * is given, as one of several servers.
   */
  startSpool(options?: OwnSpoolOptions): Promise<OwnSpool>;
  startBare(): Promise<BareServer>;
}

export interface OwnSpoolOptions extends Pick<SpoolOptions, "settings" | "logFile" | "token"> {
  databaseUrl?: string;
}

export interface OwnSpool extends SpoolServer {
  readonly databaseUrl: string;
}

export interface BareServer extends AsyncDisposable {
  readonly address: string;
  readonly pid: number;
}

/** @param profileDir where the shared Spool server leaves a CPU profile when it stops; undefined: it takes none */
export async function startServers({ profileDir }: { profileDir?: string | undefined }): Promise<Servers> {
  await using started = new AsyncDisposableStack();
  const postgres = started.use(await startServer());
  const spoolDatabase = started.use(await createDatabase(postgres.url));
  const bareDatabase = started.use(await createDatabase(postgres.url));
  const spool = started.use(await startSpool(spoolDatabase.url, { profileDir }));
  const bare = started.use(await startBare());
  const servers: Omit<Servers, keyof AsyncDisposable> = {
    postgresVersion: await readVersion(postgres.url),
    bareDatabaseUrl: bareDatabase.url,
    spoolAddress: spool.address,
    bareAddress: bare.address,
    createDatabase: () => createDatabase(postgres.url),
    startSpool: (options) => startOwnSpool(postgres.url, options),
    startBare,
  };
  const running = started.move();
  return { ...servers, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function startOwnSpool(
  postgresUrl: string,
  { databaseUrl, ...options }: OwnSpoolOptions = {},
): Promise<OwnSpool> {
  await using starting = new AsyncDisposableStack();
  const url = databaseUrl ?? starting.use(await createDatabase(postgresUrl)).url;
  const { address, pid } = starting.use(await startSpool(url, options));
  const started = starting.move();
  return { address, pid, databaseUrl: url, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

async function startBare(): Promise<BareServer> {
  await using starting = new AsyncDisposableStack();
  const child = starting.use(forkProgram(import.meta.resolve("./bare-server.ts")));
  const port = await child.next<number>();
  const started = starting.move();
  return {
    address: `127.0.0.1:${port}`,
    pid: child.pid,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
