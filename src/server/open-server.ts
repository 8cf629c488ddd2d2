import type { Resource } from "@opentelemetry/resources";
import type { Logger } from "pino";
import { StoreUnavailable } from "../domain/errors.ts";
import { untilAborted } from "../async/abort.ts";
import type { Loop } from "../async/loop.ts";
import { pause } from "../async/pause.ts";
import { retryWhile } from "../async/retry.ts";
import { namespaceAdmin } from "../engine/access/namespaces.ts";
import { Engine } from "../engine/engine.ts";
import { Engines } from "../engine/namespaces/engines.ts";
import type { OpenEngine } from "../engine/namespaces/engines.ts";
import { DatabaseMisconfigured } from "../store/connection/session-check.ts";
import type { Store } from "../store/database.ts";
import type { Configuration } from "./config/configuration.ts";
import { databasePlace } from "../store/connection/database-url.ts";
import { asConfigurationError } from "./database-watch.ts";
import type { OtherShard } from "../doctor/check-store.ts";
import { ServerChecks } from "../doctor/server-checks.ts";
import { auditLogAdmin } from "../engine/access/audit-log.ts";
import { auditSweeper } from "../engine/access/audit-sweeper.ts";
import { recordAct } from "../engine/access/audited.ts";
import { tokenAdmin } from "../engine/access/tokens.ts";
import { openCredentials } from "./auth/credentials.ts";
import type { ServerCredentials } from "./auth/credentials.ts";
import { openListeners } from "./listeners.ts";
import type { Listeners } from "./listeners.ts";
import type { LoadedKinds } from "./config/load-kinds.ts";
import type { LastWords } from "./log/fatal-errors.ts";
import { NamespaceLogs } from "./log/namespace-logs.ts";
import { openRemovalArchives } from "./export/removal-archive.ts";
import { openShards, prepareSchema } from "./open-shards.ts";
import { Readiness } from "./readiness.ts";
import type { ReadinessReport } from "./readiness.ts";
import { openKinds } from "./served-kinds.ts";
import { openServerMetrics } from "./telemetry/server-metrics.ts";
import type { ServerMetrics } from "./telemetry/server-metrics.ts";
import type { Tracing } from "./telemetry/tracing.ts";

/** How often the connection is retried if the database cannot be reached at start. */
const JOIN_RETRY_MS = 500;
/** How long a stop may take beyond drain time and cancel grace, to store the ends of tasks and send them to followers. */
const STOP_MARGIN_MS = 5_000;
/** The part of the margin that is reserved for closing the listeners, even if the database does not answer. */
const CLOSING_MS = 1_000;

/** A running server. */
export interface RunningServer {
  /** Host and port of the gRPC endpoint, with `https://` before them if it uses TLS. */
  readonly address: string;
  /** URL of the HTTP endpoint; null: there is none. */
  readonly url: string | null;
  /** One line of text for each endpoint. */
  readonly endpoints: readonly string[];
  /** Drains the server: claims no more tasks, waits for running tasks, ends the rest, closes the listeners. */
  stop(): Promise<void>;
  /** Resolves when the server has stopped; rejects if it cannot continue. */
  readonly stopped: Promise<void>;
}

/** What a server is made of, before it opens its listeners. */
export interface ServerInputs {
  configuration: Configuration;
  store: Store;
  loaded: LoadedKinds;
  resource: Resource;
  /** null: no traces are exported. */
  tracing: Tracing | null;
  log: Logger;
  /** Receives, before any task runs, what a process that is about to die can still store. */
  onEngine?: ((lastWords: LastWords) => void) | undefined;
}

/**
 * Opens a server on a store, and closes the store when the server stops. Starts while the database is down, too.
 *
 * @throws ConfigurationError, DatabaseTooNew, DatabaseDiverged, DatabaseTooOld, and errors of an
 *   address that is taken
 */
export async function openServer(parts: ServerInputs): Promise<RunningServer> {
  const { configuration, store, loaded, resource, tracing, log } = parts;
  const readiness = new Readiness(() => store.check());
  const archiveOf = await openRemovalArchives(configuration);
  await using opened = new AsyncDisposableStack();
  const metrics = opened.use(
    await openServerMetrics({ configuration, store, isOpen: () => readiness.schema, resource, log }),
  );
  const shards = openShards({ configuration, store, loaded, log });
  let kindNames: readonly string[] = [];
  const { namespace: defaultNamespace } = configuration;
  const logs = opened.use(new NamespaceLogs(log));
  const open: OpenEngine = async (namespace, { parts: on }, origin) => {
    const { meter } = metrics;
    const { kinds, close } = await openKinds({ loaded, configuration, namespace, store: on.store, meter, log });
    kindNames = kinds.map(({ name }) => name);
    const settings = {
      ...configuration,
      namespace,
      removalArchive: archiveOf?.(namespace) ?? null,
      limits: () => engines.limitsOf(namespace),
      mayMove: () => shards.all.length > 1,
      origin,
    };
    const ofNamespace = namespace === defaultNamespace ? log : logs.of(namespace);
    const { observer } = metrics;
    return { engine: new Engine({ ...on, kinds, settings, observer, log: ofNamespace }), close };
  };
  const engines = await Engines.open({ defaultNamespace, shards, open, settings: configuration, log });
  opened.defer(() => engines.close());
  parts.onEngine?.(engines);
  metrics.observe(engines, kindNames);
  const checks = opened.use(new ServerChecks(store, configuration, { others: () => otherStores(engines) }));
  const runChecks = () => checks.run();
  const isTraced = tracing !== null;
  const credentials = opened.use(await openCredentials({ settings: configuration, store, log }));
  const listeners = await openListeners(engines, configuration, {
    authenticator: credentials.authenticator,
    readiness,
    metrics,
    runChecks,
    admin: {
      ...namespaceAdmin({ store, engines, log }),
      ...tokenAdmin(store, log),
      ...auditLogAdmin(store),
    },
    onAct: (act) => void recordAct({ db: store.priorityDb, log }, act),
    createTaskToken: credentials.createTaskToken,
    isTraced,
    log,
  });
  const { auditRetention: retentionMs } = configuration;
  const sweeper = retentionMs === null ? null : auditSweeper(store, { retentionMs, log });
  const running = { engines, checks, credentials, sweeper, listeners, readiness, metrics, tracing };
  const server: ServerParts = { configuration, store, loaded, log, ...running };
  const halted = new AbortController();
  const joined = await join(server, halted.signal).catch(async (error: unknown) => {
    await listeners.close({ graceMs: 0 });
    throw asConfigurationError(error);
  });
  opened.move();
  const facts = { endpoints: listeners.lines, kinds: kindNames, database: databaseName(configuration) };
  log.info(facts, "server: started");
  const { promise: stopped, resolve, reject } = Promise.withResolvers<void>();
  joined.later
    .then(() => readiness.watch((report) => publishReadiness(server, report), { ready: true, signal: halted.signal }))
    .catch((error: unknown) => reject(asConfigurationError(error)));
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    halted.abort();
    await leave(server);
    resolve();
  };
  return {
    address: listeners.address,
    url: listeners.url,
    endpoints: listeners.lines,
    stop: () => (stopping ??= stop()),
    stopped,
  };
}

interface ServerParts {
  configuration: Configuration;
  store: Store;
  loaded: LoadedKinds;
  engines: Engines;
  checks: ServerChecks;
  credentials: ServerCredentials;
  /** null: acts stay in the audit log. */
  sweeper: Loop | null;
  listeners: Listeners;
  readiness: Readiness;
  metrics: ServerMetrics;
  tracing: Tracing | null;
  log: Logger;
}

/** Joins now if the database can be reached, otherwise later. `later` rejects if joining turns out to be impossible. */
async function join(parts: ServerParts, signal: AbortSignal): Promise<{ later: Promise<void> }> {
  try {
    await joinOnce(parts);
    return { later: Promise.resolve() };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    parts.log.warn(
      { err: error.cause },
      "database: connection failed, calls get UNAVAILABLE until the database can be reached",
    );
    return { later: joinLater(parts, signal) };
  }
}

async function joinLater(parts: ServerParts, signal: AbortSignal): Promise<void> {
  const joinUnlessStopped = async () => {
    signal.throwIfAborted();
    await joinOnce(parts);
  };
  try {
    await pause(JOIN_RETRY_MS, signal);
    await retryWhile(isUnreachable, joinUnlessStopped, {
      backoff: { firstMs: JOIN_RETRY_MS, maxMs: JOIN_RETRY_MS },
      signal,
    });
    parts.log.info("database: connected");
  } catch (error) {
    if (error !== signal.reason) throw error;
  }
}

function isUnreachable(error: unknown): error is StoreUnavailable {
  return error instanceof StoreUnavailable && !(error.cause instanceof DatabaseMisconfigured);
}

/** Sets the health status from the readiness: load balancers send no new work to a server that is not ready. */
function publishReadiness({ listeners, log }: ServerParts, { ready, reason }: ReadinessReport): void {
  listeners.setServing(ready);
  if (ready) log.info("readiness: regained");
  else log.warn({ reason }, "readiness: lost");
}

async function joinOnce(parts: ServerParts): Promise<void> {
  const { store, credentials, sweeper, engines, listeners, readiness } = parts;
  await prepareSchema(store, parts);
  readiness.schema = true;
  await credentials.start();
  await engines.start();
  readiness.engine = true;
  sweeper?.start();
  sweeper?.kick();
  listeners.setServing(true);
}

/** Stops the server: readiness first, so that followers still receive the ends of tasks before their streams end. */
async function leave({
  configuration,
  store,
  engines,
  checks,
  credentials,
  sweeper,
  listeners,
  readiness,
  metrics,
  tracing,
  log,
}: ServerParts): Promise<void> {
  const { drainMs, cancelGraceMs } = configuration;
  log.info({ drain_ms: drainMs }, "server: stopping");
  readiness.draining = true;
  listeners.setServing(false);
  checks[Symbol.dispose]();
  const stopMs = drainMs + cancelGraceMs + STOP_MARGIN_MS;
  const begunAt = performance.now();
  const halt = AbortSignal.timeout(stopMs - CLOSING_MS);
  await engines.stop({ drainMs, halt }).catch((error: unknown) => {
    log.error({ err: error }, "engine: stop failed, other servers end its tasks");
  });
  if (halt.aborted) log.warn("server: stop timed out waiting for the database, other servers end its tasks");
  const leftMs = Math.max(0, stopMs - (performance.now() - begunAt));
  await listeners.close({ graceMs: Math.min(STOP_MARGIN_MS, leftMs) });
  await untilAborted(Promise.all([credentials[Symbol.asyncDispose](), sweeper?.stop()]), halt);
  await Promise.all([metrics[Symbol.asyncDispose](), tracing?.[Symbol.asyncDispose]()]);
  await untilAborted(engines.close(), halt);
  // Closing waits for running statements.
  await untilAborted(store.close(), halt);
  log.info("server: stopped");
  log.flush();
}

function databaseName({ databaseUrl, dataDir }: Configuration): string {
  return databaseUrl === null ? `embedded, in ${dataDir}` : databasePlace(databaseUrl);
}

function otherStores({ shards }: Engines): OtherShard[] {
  return shards.all.slice(1).map(({ name, parts: { store, shared } }) => {
    return { name, store, standbyUrl: shared.standby.url };
  });
}
