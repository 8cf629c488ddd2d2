import { pino } from "pino";
import { NamespaceNotFound } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { namespaceAdmin } from "../../src/engine/access/namespaces.ts";
import { tokenAdmin } from "../../src/engine/access/tokens.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import { CallerLimits } from "../../src/rpc/call/caller-limits.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { openHttpListener } from "../../src/server/http/http-listener.ts";
import { Readiness } from "../../src/server/readiness.ts";
import { openMetrics } from "../../src/server/telemetry/metrics.ts";
import { openDatabase } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { homeShard } from "../support/all-engines.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { createDatabase } from "../support/postgres.ts";
import type { Credentials } from "./credentials.ts";
import { NO_LIMITS } from "../../src/domain/tenant-limits.ts";
import { auditLogAdmin } from "../../src/engine/access/audit-log.ts";
import { TaskTokens } from "../../src/server/auth/task-tokens.ts";

/** The namespace, the kind and the labels of the tasks that the calls of the matrix are about. */
export const OWN = { namespace: "own", kind: "own.kind", labels: { team: "own" } } as const;
/** The namespace of callers who may not use OWN.namespace. */
export const OTHER_NAMESPACE = "other";

/** Both endpoints of a server with two namespaces. */
export interface AccessServer extends AsyncDisposable {
  readonly grpcPort: number;
  readonly url: string;
  /** Makes an ended task with OWN, and with more labels if they are given. Returns its id. */
  makeTask(more?: { params?: JsonObject; labels?: Record<string, string> }): Promise<string>;
  /** Counts the tasks of each status in OWN.namespace. */
  countTasks(): Promise<number>;
  /** Returns the lines that the server has logged at level error. */
  readonly errors: readonly string[];
}

/**
 * Opens the listeners of a server over the engines of two namespaces, on a database of its own.
 *
 * @param wrap replaces the engine that calls reach
 */
export async function openAccessServer(
  { authenticator }: Credentials,
  { wrap = (engine) => engine }: { wrap?: (engine: TaskEngine) => TaskEngine } = {},
): Promise<AccessServer> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(await createDatabase());
  const store = await openDatabase({ url: database.url });
  opened.defer(() => store.close());
  await migrate(store.db);
  const own = opened.use(await startEngine(store, { namespace: OWN.namespace }));
  const other = opened.use(await startEngine(store, { namespace: OTHER_NAMESPACE }));
  const byName = new Map([own, other].map((engine) => [engine.namespace, wrap(engine)]));
  const engines = {
    defaultNamespace: OWN.namespace,
    of(namespace: string) {
      const engine = byName.get(namespace);
      if (engine === undefined) throw new NamespaceNotFound(namespace);
      return engine;
    },
    limitsOf: () => NO_LIMITS,
  };
  const errors: string[] = [];
  const log = pino({ level: "error" }, { write: (line) => errors.push(line) });
  const limits = new CallerLimits({ followsPerConnection: 1_000, waitingReads: 1_000 });
  const runChecks = async () => ({ checks: [], host: "host", pid: 1 });
  const ofAdmin = {
    defaultNamespace: OWN.namespace,
    shards: { all: [homeShard(store)] },
    namespacesOn: () => [...byName.keys()],
    refresh: async () => {},
  };
  const admin = {
    ...namespaceAdmin({ store, engines: ofAdmin, log }),
    ...tokenAdmin(store, log),
    ...auditLogAdmin(store),
  };
  const createTaskToken = new TaskTokens(store).create;
  const calls = { runChecks, admin, createTaskToken };
  const common = { engines, host: "127.0.0.1", port: 0, authenticator, limits, ...calls, log };
  const grpc = await openGrpcListener(common);
  opened.defer(() => grpc.close({ graceMs: 0 }));
  grpc.setServing(true);
  const metrics = opened.use(openMetrics());
  const readiness = new Readiness(async () => {});
  readiness.schema = true;
  readiness.engine = true;
  const http = await openHttpListener({ ...common, readiness, metrics });
  opened.defer(() => http.close({ graceMs: 0 }));
  const rest = opened.move();
  return {
    grpcPort: grpc.port,
    url: `http://127.0.0.1:${http.port}`,
    errors,
    async makeTask({ params = {}, labels = {} } = {}) {
      const request = taskRequest({ kind: OWN.kind, params, labels: { ...labels, ...OWN.labels } });
      const { task } = await own.startTask(request);
      await own.cancelTask(task.taskId, { reason: "", by: null });
      return task.taskId;
    },
    async countTasks() {
      const filter = { limit: 100_000, beforeTaskId: null, statuses: [], kinds: [], labels: {} };
      return (await own.listTasks(filter)).tasks.length;
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
