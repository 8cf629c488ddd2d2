import type { Kind } from "../../src/domain/kind.ts";
import { HOME_SHARD } from "../../src/domain/shard.ts";
import type { SlotBudget } from "../../src/engine/attempt/slot-budget.ts";
import { Engine } from "../../src/engine/engine.ts";
import { Engines } from "../../src/engine/namespaces/engines.ts";
import type { OpenEngine } from "../../src/engine/namespaces/engines.ts";
import { openSharedParts } from "../../src/engine/namespaces/shared-parts.ts";
import { Shard, Shards } from "../../src/engine/namespaces/shards.ts";
import { echo } from "../../src/kinds/echo.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { LOG, TEST_SETTINGS } from "./engines.ts";

const STOP_MS = 10_000;
const LEAVE = { drainMs: 0, cancelGraceMs: 1_000 };

/** The engines of a server that serves all namespaces. Disposing stops them; the store stays open. */
export type TestEngines = Engines & AsyncDisposable;

/** Returns the first shard of a service, which is open already. */
export function homeShard(store: Store): Shard {
  const shared = openSharedParts({ store, settings: TEST_SETTINGS, log: LOG });
  return new Shard(HOME_SHARD, null, { store, shared, prepare: () => Promise.resolve() });
}

/** Starts engines on an open store, with echo and the kinds given. */
export async function startEngines(
  store: Store,
  {
    kinds = [],
    slots = TEST_SETTINGS.slots,
    notify = true,
    defaultNamespace = crypto.randomUUID(),
  }: { kinds?: readonly Kind[]; slots?: number; notify?: boolean; defaultNamespace?: string } = {},
): Promise<TestEngines> {
  const log = LOG;
  const sharedOf = (on: Store, budget?: SlotBudget) =>
    openSharedParts({ store: on, settings: { slots, notify }, ...(budget && { budget }), log });
  const shared = sharedOf(store);
  const prepare = () => Promise.resolve();
  const shards = new Shards(
    { store, shared, prepare },
    {
      async open({ url }) {
        const on = await openDatabase({ url, connectionsMax: 8 });
        return {
          store: on,
          shared: sharedOf(on, shared.budget),
          async prepare() {
            await migrate(on.db);
          },
        };
      },
      log,
    },
  );
  const open: OpenEngine = (namespace, { parts }, origin) => {
    const settings = { ...TEST_SETTINGS, namespace, mayMove: () => shards.all.length > 1, origin };
    const engine = new Engine({ ...parts, kinds: [echo, ...kinds], settings, log });
    return Promise.resolve({ engine, close: () => Promise.resolve() });
  };
  const engines = await Engines.open({ defaultNamespace, shards, open, settings: LEAVE, log });
  await engines.start();
  return Object.assign(engines, {
    async [Symbol.asyncDispose]() {
      await engines.stop({ drainMs: 0, halt: AbortSignal.timeout(STOP_MS) });
      await engines.close();
    },
  });
}
