import { startServer } from "../test/support/postgres.ts";
import { forkProgram } from "./children.ts";
import { createDatabase, readVersion } from "./databases.ts";
import type { OwnDatabase } from "./databases.ts";
import type { Target } from "./load/load.ts";
import { ONE_OF_EACH, startService } from "./service.ts";
import type { ServiceSize } from "./service.ts";
import { startSpool } from "./spool-server.ts";
import type { SpoolOptions, SpoolServer } from "./spool-server.ts";

/** What the measures are taken of: each a process of its own, on this machine. */
export interface Servers extends AsyncDisposable {
  readonly postgresVersion: string;
  /** A database without Spool, on the same Postgres. */
  readonly bareDatabaseUrl: string;
  /** A Spool server that the measures share, on the Postgres. */
  readonly spoolAddress: string;
  /** What measures share of which the work may be spread over shards: one namespace on each, at each shared server. */
  readonly targets: readonly Target[];
  /** Shared by no other measure. */
  startService: typeof startService;
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

/** What the measures share, all of it on one Postgres or on several. */
interface Shared {
  /** Where databases are created. */
  postgresUrl: string;
  spoolAddress: string;
  targets: readonly Target[];
}

/**
 * @param profileDir where the shared Spool servers leave a CPU profile when they stop; undefined: they take none
 * @param size of the shared service
 */
export async function startServers({
  profileDir,
  size = ONE_OF_EACH,
}: { profileDir?: string | undefined; size?: ServiceSize } = {}): Promise<Servers> {
  await using started = new AsyncDisposableStack();
  const isOne = size.shards === 1 && size.servers === 1;
  const { postgresUrl, ...shared } = isOne
    ? await startOne(started, profileDir)
    : await startSeveral(started, profileDir, size);
  const bareDatabase = started.use(await createDatabase(postgresUrl));
  const bare = started.use(await startBare());
  const servers: Omit<Servers, keyof AsyncDisposable> = {
    ...shared,
    postgresVersion: await readVersion(postgresUrl),
    bareDatabaseUrl: bareDatabase.url,
    bareAddress: bare.address,
    createDatabase: () => createDatabase(postgresUrl),
    startSpool: (options) => startOwnSpool(postgresUrl, options),
    startService,
    startBare,
  };
  const running = started.move();
  return { ...servers, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function startOne(started: AsyncDisposableStack, profileDir: string | undefined): Promise<Shared> {
  const { url } = started.use(await startServer());
  const database = started.use(await createDatabase(url));
  const { address } = started.use(await startSpool(database.url, { profileDir }));
  return { postgresUrl: url, spoolAddress: address, targets: [{ address }] };
}

async function startSeveral(
  started: AsyncDisposableStack,
  profileDir: string | undefined,
  size: ServiceSize,
): Promise<Shared> {
  const { databases, servers, targets } = started.use(await startService(size, { profileDir }));
  return { postgresUrl: databases[0]!.url, spoolAddress: servers[0]!.address, targets };
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
