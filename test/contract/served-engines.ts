import type { Kind } from "../../src/domain/kind.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import type { Engines } from "../../src/rpc/call/guard.ts";
import { startEngine } from "../support/engines.ts";
import { oneEngine } from "../support/one-engine.ts";
import { openShardedDatabases, startShardedEngines } from "../support/sharded-service.ts";
import type { ShardedDatabases } from "../support/sharded-service.ts";
import { openPostgres } from "../support/stores.ts";

/** The engine that the contract is tested on. */
export interface ServedEngine extends AsyncDisposable {
  readonly engine: TaskEngine;
  /** With the engine's namespace as the default. */
  readonly engines: Engines;
}

/** Set: the engines run on the shards of one service, the first one on the first shard, and so on in turn. */
const ON_SHARDS = process.env["SPOOL_TEST_SHARDS"] === "on";
let databases: Promise<ShardedDatabases> | undefined;
let opened = 0;

if (ON_SHARDS) after(async () => (await databases)?.[Symbol.asyncDispose]());

export function openServedEngine(kinds: readonly Kind[]): Promise<ServedEngine> {
  return ON_SHARDS ? openOnShard(kinds) : openOnDatabase(kinds);
}

async function openOnDatabase(kinds: readonly Kind[]): Promise<ServedEngine> {
  const store = await openPostgres();
  const engine = await startEngine(store, { kinds });
  return {
    engine,
    engines: oneEngine(engine),
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

async function openOnShard(kinds: readonly Kind[]): Promise<ServedEngine> {
  databases ??= openShardedDatabases();
  const on = await databases;
  const defaultNamespace = crypto.randomUUID();
  const shard = on.names[opened++ % on.names.length]!;
  await on.home.db
    .insertInto("namespaces")
    .values({ name: defaultNamespace, limits: "{}", created_by: "test", shard })
    .execute();
  const engines = await startShardedEngines(on, { kinds, defaultNamespace });
  return {
    engine: engines.of(defaultNamespace),
    engines,
    [Symbol.asyncDispose]: () => engines[Symbol.asyncDispose](),
  };
}
