import { pino } from "pino";
import type { Kind } from "../../src/domain/kind.ts";
import { Engine } from "../../src/engine/engine.ts";
import { Engines } from "../../src/engine/namespaces/engines.ts";
import { openSharedParts } from "../../src/engine/namespaces/shared-parts.ts";
import { echo } from "../../src/kinds/echo.ts";
import type { Store } from "../../src/store/database.ts";
import { TEST_SETTINGS } from "./engines.ts";

const STOP_MS = 10_000;

/** The engines of a server that serves all namespaces. Disposing stops them; the store stays open. */
export type TestEngines = Engines & AsyncDisposable;

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
  const log = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });
  const shared = openSharedParts({ store, settings: { slots, notify }, log });
  const open = (namespace: string) => {
    const settings = { ...TEST_SETTINGS, namespace };
    const engine = new Engine({ store, kinds: [echo, ...kinds], settings, log, shared });
    return Promise.resolve({ engine, close: () => Promise.resolve() });
  };
  const engines = await Engines.open({ defaultNamespace, db: store.priorityDb, shared, open, log });
  await engines.start();
  return Object.assign(engines, {
    [Symbol.asyncDispose]: () => engines.stop({ drainMs: 0, halt: AbortSignal.timeout(STOP_MS) }),
  });
}
