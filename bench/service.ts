import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setNamespace } from "../src/client/admin/namespace-calls.ts";
import { connect } from "../src/client/client.ts";
import { openConnection } from "../src/client/transport/connection.ts";
import { HOME_SHARD } from "../src/domain/shard.ts";
import { openDatabase } from "../src/store/database.ts";
import { migrate } from "../src/store/migrate.ts";
import { eventually } from "../test/support/eventually.ts";
import { startServer } from "../test/support/postgres.ts";
import { createDatabase } from "./databases.ts";
import { burst } from "./kinds.ts";
import type { Target } from "./load/load.ts";
import { startSpool, withoutSettings } from "./spool-server.ts";
import type { SpoolOptions, SpoolServer } from "./spool-server.ts";

/** How large a service is. */
export interface ServiceSize {
  /** Schemas, each with namespaces of its own. */
  shards: number;
  /** Postgres servers, which have the shards in turn: at most one for each shard. */
  postgres: number;
  /** Spool servers. Each serves all shards. */
  servers: number;
}

export const ONE_OF_EACH: ServiceSize = { shards: 1, postgres: 1, servers: 1 };

/** A namespace and the place of its tasks. */
export interface PlacedNamespace {
  name: string;
  /** The number of its Postgres server, from 0. */
  postgres: number;
}

export interface Database {
  /** Of the database `postgres`, as a superuser. */
  readonly url: string;
  /** Of the database that holds its shards. */
  readonly spoolUrl: string;
  /** Of its first process. */
  readonly pid: number;
}

/** Spool servers over shards on Postgres servers of their own, which need a token if one is given. Disposing ends all. */
export interface Service extends AsyncDisposable {
  readonly databases: readonly Database[];
  /** Of the first shard, with the tables of the service. */
  readonly homeUrl: string;
  readonly servers: readonly SpoolServer[];
  /** One on each shard; of a service with one shard, that of the servers' settings. */
  readonly namespaces: readonly PlacedNamespace[];
  /** Each namespace at each server, so that the first ones are different in both where that can be. */
  readonly targets: readonly Target[];
}

interface ServiceOptions extends SpoolOptions {
  /** Of Postgres, as `postgres -c` takes them. */
  postgresSettings?: Readonly<Record<string, string>>;
}

const DEFAULT_NAMESPACE = "default";
/** A pool for each shard, and a connection that listens. */
const CONNECTIONS_PER_SERVER = 17;
/** Of the measures that have databases of their own on the same Postgres. */
const OTHER_CONNECTIONS = 200;
const READY_MS_MAX = 60_000;

export async function startService(
  { shards, postgres, servers: count }: ServiceSize,
  { postgresSettings = {}, ...given }: ServiceOptions = {},
): Promise<Service> {
  await using starting = new AsyncDisposableStack();
  const { token } = given;
  const settings = { ...given.settings, ...(token !== undefined && { SPOOL_TOKEN: token }) };
  const options = { ...given, settings };
  const needed = count * Math.ceil(shards / postgres) * CONNECTIONS_PER_SERVER;
  const connections = { max_connections: `${OTHER_CONNECTIONS + needed}` };
  const databases: Database[] = [];
  for (let number = 0; number < postgres; number++) {
    const server = starting.use(await startServer({ settings: { ...connections, ...postgresSettings } }));
    const { url: spoolUrl } = starting.use(await createDatabase(server.url));
    const pid = Number((await readFile(join(server.data, "postmaster.pid"), "utf8")).split("\n")[0]);
    databases.push({ url: server.url, spoolUrl, pid });
  }
  const homeUrl = databases[0]!.spoolUrl;
  await migrateHome(homeUrl);
  for (let number = 1; number < shards; number++) {
    const url = `${databases[number % postgres]!.spoolUrl}?schema=${shardName(number)}`;
    await addShard(homeUrl, { name: shardName(number), url });
  }
  const servers: SpoolServer[] = [];
  for (let number = 0; number < count; number++) servers.push(starting.use(await startSpool(homeUrl, options)));
  const namespaces = await createNamespaces(servers[0]!.address, { token, shards, postgres });
  const targets = namespaces.flatMap((_, turn) =>
    servers.map(({ address }, index): Target => {
      // A service with one shard is called as most are: without a namespace.
      return shards === 1 ? { address } : { address, namespace: namespaces[(index + turn) % shards]!.name };
    }),
  );
  await Promise.all(targets.map((target) => waitUntilServed(target, token)));
  const started = starting.move();
  return { databases, homeUrl, servers, namespaces, targets, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

function shardName(number: number): string {
  return `shard_${number + 1}`;
}

async function migrateHome(url: string): Promise<void> {
  const home = await openDatabase({ url, connectionsMax: 1 });
  try {
    await migrate(home.db);
  } finally {
    await home.close();
  }
}

/** As an operator does it. */
async function addShard(homeUrl: string, { name, url }: { name: string; url: string }): Promise<void> {
  const spool = fileURLToPath(import.meta.resolve("../bin/spool.js"));
  await promisify(execFile)(process.execPath, [spool, "shard", "add", name], {
    env: { ...withoutSettings(process.env), SPOOL_DATABASE_URL: homeUrl, SPOOL_SHARD_URL: url },
  });
}

/** Creates a namespace on each of several shards: the service places a new one on a shard that has the fewest. */
async function createNamespaces(
  address: string,
  { shards, postgres, token }: { shards: number; postgres: number; token?: string | undefined },
): Promise<PlacedNamespace[]> {
  if (shards === 1) return [{ name: DEFAULT_NAMESPACE, postgres: 0 }];
  const transport = openConnection({ address, token });
  try {
    const placed = new Map<string, PlacedNamespace>();
    for (let number = 0; number < shards; number++) {
      const name = `bench-${number + 1}`;
      const { shard } = await setNamespace(transport, { name, limits: null, retryMs: READY_MS_MAX });
      const place = shard === HOME_SHARD ? 0 : Number(shard.slice(shardName(0).length - 1)) - 1;
      placed.set(shard, { name, postgres: place % postgres });
    }
    if (placed.size !== shards) throw new Error(`${shards} namespaces are on ${placed.size} shards, not on as many`);
    return [...placed.values()];
  } finally {
    transport.close();
  }
}

/** A namespace is known at once to the server that created it, and to others within seconds. */
async function waitUntilServed(target: Target, token: string | undefined): Promise<void> {
  using client = connect({ ...target, token, retryMs: READY_MS_MAX });
  await eventually(() => client.start({ kind: burst.name, params: { events: 0 } }), {
    timeoutMs: READY_MS_MAX,
    describe: `${target.namespace ?? DEFAULT_NAMESPACE} is served at ${target.address}`,
  });
}
