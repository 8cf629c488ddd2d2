import type { Kind } from "../../src/domain/kind.ts";
import { HOME_SHARD } from "../../src/domain/shard.ts";
import { ALL_GRANTS } from "../../src/domain/principal.ts";
import { namespaceAdmin } from "../../src/engine/access/namespaces.ts";
import { writeShard } from "../../src/store/access/shards.ts";
import { createOwnSchema } from "../../src/store/reports/database-place.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { startEngines } from "./all-engines.ts";
import type { TestEngines } from "./all-engines.ts";
import { LOG } from "./engines.ts";
import { createDatabase, startServer } from "./postgres.ts";
import type { PostgresServer } from "./postgres.ts";

const CONNECTIONS_MAX = 8;
const ROOT = { ...ALL_GRANTS, name: "root" };

/** The databases of a service with four shards: two schemas on each of two servers. Disposing drops them. */
export interface ShardedDatabases extends AsyncDisposable {
  /** The first shard. */
  readonly home: Store;
  readonly homeUrl: string;
  /** The server of the last two shards. */
  readonly otherServer: PostgresServer;
  /** The names of all shards, the first one first. */
  readonly names: readonly string[];
  urlOf(name: string): string;
}

export async function openShardedDatabases(): Promise<ShardedDatabases> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await createDatabase());
  const otherServer = opened.use(await startServer());
  const inSchema = (url: string, schema: string) => `${url}?schema=${schema}`;
  const urls = new Map([
    [HOME_SHARD, inSchema(database.url, "one")],
    ["b", inSchema(database.url, "two")],
    ["c", inSchema(otherServer.url, "one")],
    ["d", inSchema(otherServer.url, "two")],
  ]);
  const homeUrl = urls.get(HOME_SHARD)!;
  const home = await openShards(urls);
  opened.defer(() => home.close());
  const rest = opened.move();
  return {
    home,
    homeUrl,
    otherServer,
    names: [...urls.keys()],
    urlOf: (name) => urls.get(name)!,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}

/**
 * Creates the schema of each shard, migrates it, and records the shards on the first one.
 *
 * @param urls by the names of the shards, `HOME_SHARD` among them
 * @returns the first shard
 */
export async function openShards(urls: ReadonlyMap<string, string>): Promise<Store> {
  for (const url of urls.values()) {
    const store = await openDatabase({ url, connectionsMax: 1 });
    await createOwnSchema(store.db, url);
    await migrate(store.db);
    await store.close();
  }
  const home = await openDatabase({ url: urls.get(HOME_SHARD)!, connectionsMax: CONNECTIONS_MAX });
  await home.db.transaction().execute(async (trx) => {
    for (const [name, url] of urls) if (name !== HOME_SHARD) await writeShard(trx, { name, url });
  });
  return home;
}

/** Starts a server's engines on the shards. */
export function startShardedEngines(
  { home }: ShardedDatabases,
  options: { kinds?: readonly Kind[]; defaultNamespace?: string } = {},
): Promise<TestEngines> {
  return startEngines(home, options);
}

/** Creates a namespace on a shard, and waits until the engines serve it. */
export async function createOn(
  { home }: Pick<ShardedDatabases, "home">,
  engines: TestEngines,
  { name = crypto.randomUUID(), shard }: { name?: string; shard: string },
): Promise<string> {
  const row = { name, limits: "{}", created_by: "test", shard };
  await home.db.insertInto("namespaces").values(row).execute();
  await namespaceAdmin({ store: home, engines, log: LOG }).setNamespace(ROOT, { name, limits: null });
  return name;
}
