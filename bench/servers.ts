import { forkProgram } from "./children.ts";
import { createDatabase, readVersion } from "./databases.ts";
import type { OwnDatabase } from "./databases.ts";
import type { Target } from "./load/load.ts";
import { ONE_OF_EACH, startService } from "./service.ts";
import type { Service, ServiceSize } from "./service.ts";
import { startSpool } from "./spool-server.ts";
import type { SpoolOptions, SpoolServer } from "./spool-server.ts";

/** What the measures are taken of: each a process of its own, on this machine. */
export interface Servers extends AsyncDisposable {
  readonly postgresVersion: string;
  /** A database without Spool, on the same Postgres. */
  readonly bareDatabaseUrl: string;
  /** What the measures share: as the command line says, on one Postgres and one shard or on several. */
  readonly service: Service;
  /** One of its servers. */
  readonly spoolAddress: string;
  /** Its namespaces at its servers, for work that may be spread over them. */
  readonly targets: readonly Target[];
  /** grpc-js with nothing behind it, shared too. */
  readonly bareAddress: string;
  /** An empty database, for a measure that fills one or has a peer use it. */
  createDatabase(): Promise<OwnDatabase>;
  /**
   * A Spool server on a database of its own: with nobody else's tasks, and nobody else's memory; or on the database that
   * is given, as one of several servers.
   */
  startSpool(options?: OwnSpoolOptions): Promise<OwnSpool>;
  /** A service that no other measure uses, with a Postgres of its own or several. */
  startService: typeof startService;
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

export interface ServersOptions extends Pick<SpoolOptions, "profileDir" | "host" | "token"> {
  /** Of the shared service. */
  size?: ServiceSize;
}

/** @param profileDir where the shared Spool servers leave a CPU profile when they stop; undefined: they take none */
export async function startServers({ size = ONE_OF_EACH, ...options }: ServersOptions = {}): Promise<Servers> {
  await using started = new AsyncDisposableStack();
  const service = started.use(await startService(size, options));
  const { url } = service.databases[0]!;
  const bareDatabase = started.use(await createDatabase(url));
  const bare = started.use(await startBare());
  const servers: Omit<Servers, keyof AsyncDisposable> = {
    postgresVersion: await readVersion(url),
    bareDatabaseUrl: bareDatabase.url,
    service,
    spoolAddress: service.servers[0]!.address,
    targets: service.targets,
    bareAddress: bare.address,
    createDatabase: () => createDatabase(url),
    startSpool: (options) => startOwnSpool(url, options),
    startService,
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
