import { pino } from "pino";
import type { Logger } from "pino";
import type { Kind } from "../../src/domain/kind.ts";
import type { RetentionSettings } from "../../src/domain/retention.ts";
import type { TaskRequest } from "../../src/domain/task.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineSettings } from "../../src/engine/engine-settings.ts";
import { openSharedParts } from "../../src/engine/namespaces/shared-parts.ts";
import type { SharedSettings } from "../../src/engine/namespaces/shared-parts.ts";
import type { EngineObserver } from "../../src/engine/api/engine-observer.ts";
import type { StandbyReads } from "../../src/engine/read/standby-reads.ts";
import { echo } from "../../src/kinds/echo.ts";
import type { Store } from "../../src/store/database.ts";

/** An engine that runs, in a namespace of its own. Disposing stops it; the store stays open. */
export type TestEngine = Engine & AsyncDisposable & { readonly namespace: string; readonly standby: StandbyReads };

/** The settings with which no ended task is removed. */
export const FOREVER: RetentionSettings = { retention: null, retentionByKind: new Map() };

/** The settings of an engine, unless a test says otherwise. */
export const TEST_SETTINGS: Omit<EngineSettings, "namespace"> & SharedSettings = {
  slots: 64,
  cancelGraceMs: 5_000,
  leaseMs: 10_000,
  crashesMax: 3,
  ...FOREVER,
  packAfter: null,
  notify: true,
  unknownKinds: "wait",
  limits: () => ({}),
};
const STOP_MS = 10_000;
export const LOG = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });

/** Starts an engine on an open store, with echo and the kinds given. */
export async function startEngine(
  store: Store,
  {
    kinds = [],
    observer,
    log = LOG,
    standbyUrl = null,
    ...settings
  }: { kinds?: readonly Kind[]; observer?: EngineObserver; log?: Logger; standbyUrl?: string | null } & Partial<
    EngineSettings & SharedSettings
  > = {},
): Promise<TestEngine> {
  const namespace = settings.namespace ?? crypto.randomUUID();
  const all = { ...TEST_SETTINGS, ...settings, namespace };
  const shared = openSharedParts({ store, standbyUrl, settings: all, log });
  const engine = new Engine({
    store,
    kinds: [echo, ...kinds],
    settings: all,
    ...(observer && { observer }),
    log,
    shared,
  });
  await engine.start();
  return Object.assign(engine, {
    namespace,
    standby: shared.standby,
    async [Symbol.asyncDispose]() {
      await engine.stop({ drainMs: 0, halt: AbortSignal.timeout(STOP_MS) });
      await shared.upkeep.stop();
      await shared.standby.close();
    },
  });
}

/** A complete request: echo once, unless said otherwise. */
export function taskRequest(request: Partial<TaskRequest> = {}): TaskRequest {
  return {
    kind: "echo",
    params: {},
    requestId: null,
    labels: {},
    timeoutMs: null,
    maxAttempts: null,
    retryPolicy: {},
    runAt: null,
    deadlineAt: null,
    retentionMs: null,
    traceparent: null,
    startedBy: null,
    ...request,
  };
}
