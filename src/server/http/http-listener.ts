import { hostname } from "node:os";
import type { Logger } from "pino";
import { requireAccess } from "../../domain/access.ts";
import type { RequiredAccess } from "../../domain/access.ts";
import type { Act } from "../../domain/audit-event.ts";
import { Overloaded, SpoolError, Unimplemented } from "../../domain/errors.ts";
import {
  HTTP_LIST_BYTES_MAX,
  REQUEST_TIMEOUT_MS_DEFAULT,
  STREAMS_PER_CONNECTION_DEFAULT,
} from "../../domain/limits.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import type { TaskEngine } from "../../engine/api/task-engine.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { adminService } from "../../rpc/services/admin-service.ts";
import type { AdminCalls, RunChecks } from "../../rpc/services/admin-service.ts";
import { guardService } from "../../rpc/call/guard.ts";
import type { Engines } from "../../rpc/call/guard.ts";
import { callerName, OPEN } from "../../rpc/call/identity.ts";
import type { Authenticator, Identity } from "../../rpc/call/identity.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { CallerLimits, limitCallers } from "../../rpc/call/caller-limits.ts";
import { Drain } from "../../rpc/call/drain.ts";
import { TenantLimits } from "../../rpc/call/tenant-limits.ts";
import { taskService } from "../../rpc/services/task-service.ts";
import { workerService } from "../../rpc/services/worker-service.ts";
import { callTracker } from "../telemetry/call-tracker.ts";
import type { Certificate } from "../config/certificate.ts";
import type { ProviderSettings } from "../config/console-settings.ts";
import { connectRoutes } from "./connect-routes.ts";
import { ConsoleSessions } from "./console/console-sessions.ts";
import { IdentityProvider } from "./console/identity-provider.ts";
import { Seal } from "./console/seal.ts";
import { sessionResource } from "./console/session-resource.ts";
import { signInPages } from "./console/sign-in-pages.ts";
import { eventSource } from "./event-source.ts";
import { eventStream } from "./event-streams.ts";
import { identifier } from "./identify.ts";
import { logLevelResource } from "../log/log-level-resource.ts";
import { closeAfter, pathOf, sendError, sendJson } from "./http-answer.ts";
import { openHttpServer } from "./http-server.ts";
import type { HttpHandler, HttpResponse } from "./http-server.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { originGuard } from "./origin-guard.ts";
import type { Readiness } from "../readiness.ts";

/** An open HTTP listener. */
export interface HttpListener {
  /** The port of the listener. */
  readonly port: number;
  /** New connections get the new certificate. Open connections stay. */
  setCertificate(certificate: Certificate): void;
  /**
   * Closes the listener: new calls are refused, streams and waits end with DRAINING, and calls that write may finish.
   * Resolves when all have ended. After graceMs the remaining calls are cut off.
   */
  close(options: { graceMs: number }): Promise<void>;
}

interface HttpListenerOptions {
  engines: Engines;
  /** An address or a name of this machine. */
  host: string;
  /** 0: any free port. */
  port: number;
  /** Decides who calls. By default, every call is admitted. */
  authenticator?: Authenticator;
  /** Origins whose pages may call, besides the pages of this server. */
  origins?: readonly string[];
  /** Not null: the listener uses TLS, with HTTP/2 and HTTP/1.1. */
  certificate?: Certificate | null;
  /** How many streams an HTTP/2 connection may cancel at once. */
  streamResetBurst?: number;
  readiness: Readiness;
  metrics: Metrics;
  /** The limits that all callers share. */
  limits?: CallerLimits;
  /** Counts what namespaces and principals use at this server. */
  tenantLimits?: TenantLimits;
  /** The server's checks; undefined: it has none. */
  runChecks?: RunChecks | undefined;
  /** The calls of operators; undefined: it has none. */
  admin?: AdminCalls | undefined;
  /** Seals the sessions of the console. null: a random secret, so that the sessions of other servers are unknown. */
  consoleSecret?: string | null;
  /** The identity provider at which people can sign in to the console; null: none. */
  provider?: ProviderSettings | null;
  /** Records an act of a caller that is no call of a service; undefined: it is not recorded. */
  onAct?: ((act: Act) => void) | undefined;
  /** Makes tokens for single tasks; undefined: it has none. */
  createTaskToken?: ServiceAdmin["createTaskToken"] | undefined;
  /** How many calls and streams may be open on one connection. */
  streamsPerConnection?: number;
  /** How long a request may take to arrive, in milliseconds. */
  requestTimeoutMs?: number;
  /** Whether calls are traced. */
  isTraced?: boolean;
  /**
   * Handles every other path, without a token and for pages of every origin. It serves nothing secret, and a loaded
   * console can show why its calls are refused.
   */
  fallback?: HttpHandler;
  /** The root logger of the server: `/log-level` changes its level. */
  log: Logger;
}

const LOG_LEVEL: RequiredAccess = { scopes: ["admin"], isForOneTask: false, isForService: true };
/** Metrics have no names of tasks, so a scraper needs no rights on them. */
const METRICS: RequiredAccess = { scopes: ["metrics"], isForOneTask: false, isForService: false };

/** A resource that is not a call. */
interface Resource {
  /** What the caller needs. null: the call behind the resource checks the caller. */
  required: RequiredAccess | null;
  methods: readonly string[];
  answerTo(caller: Identity): HttpHandler;
}

/** The paths of calls. Unknown paths below them get an error in the format of calls. */
const CALLS = /^\/(spool\.v1\.|v1\/)/;

/**
 * Serves spool.v1.TaskService, AdminService and the unary calls of WorkerService over HTTP: Connect, gRPC-Web and
 * server-sent events. Also serves `/healthz` and `/readyz` (without a token), `/log-level`, and `/metrics` if enabled.
 *
 * @throws Error if the address cannot be listened on
 */
export async function openHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const { host, port, certificate, streamResetBurst, log } = options;
  const { streamsPerConnection = STREAMS_PER_CONNECTION_DEFAULT } = options;
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT } = options;
  const drain = new Drain();
  const server = await openHttpServer({
    host,
    port,
    certificate,
    streamResetBurst,
    streamsPerConnection,
    requestTimeoutMs,
    handler: listenerHandler(options, drain),
    refuse(_request, response) {
      const what = `this connection already has ${streamsPerConnection} open requests`;
      sendError(response, toConnectError(new Overloaded(what), log));
    },
  });
  return {
    port: server.port,
    setCertificate: (next) => server.setCertificate(next),
    close({ graceMs }) {
      drain.begin();
      return server.close({ graceMs });
    },
  };
}

function listenerHandler(options: HttpListenerOptions, drain: Drain): HttpHandler {
  const { engines, authenticator = OPEN, origins = [], readiness, metrics, isTraced = false, fallback, log } = options;
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT } = options;
  const seal = new Seal(options.consoleSecret ?? null);
  const sessions = new ConsoleSessions(seal);
  const identify = identifier(authenticator, sessions);
  const limits = options.limits ?? new CallerLimits();
  const guard = { engines, limits: options.tenantLimits ?? new TenantLimits() };
  const { createTaskToken } = options;
  const tasksOf = (engine: TaskEngine, namespace: string) => {
    const taskTokens = createTaskToken && { namespace, create: createTaskToken };
    return limitCallers(taskService(engine, { listBytesMax: HTTP_LIST_BYTES_MAX, taskTokens }), limits);
  };
  const tasks = guardService(TaskService, tasksOf, guard);
  const workers = guardService(WorkerService, workerService, guard);
  const admin = guardService(AdminService, () => adminService(options.runChecks, options.admin), guard);
  const track = callTracker("http", { metrics, isTraced });
  const trackStreams = callTracker("sse", { metrics, isTraced });
  const routes = connectRoutes({ tasks, workers, admin }, { drain, identify, track, log, requestTimeoutMs });
  const levelFor = (identity: Identity) =>
    logLevelResource(log, (details) => {
      const actor = callerName(identity);
      const target = `${hostname()} ${process.pid}`;
      if (actor !== null) options.onAct?.({ actor, action: "log_level.set", target, namespace: null, details });
    });
  const own = new Map<string, Resource>([
    ["/log-level", { required: LOG_LEVEL, methods: ["GET", "PUT"], answerTo: levelFor }],
  ]);
  const { answer: metricsText } = metrics;
  if (metricsText !== null) own.set("/metrics", { required: METRICS, methods: ["GET"], answerTo: () => metricsText });
  const { defaultNamespace } = engines;
  const provider = options.provider ? new IdentityProvider(options.provider) : null;
  const common = { authenticator, sessions, log };
  const session = { ...common, identify, defaultNamespace, provider: provider?.host ?? null, requestTimeoutMs };
  const pages = new Map([
    ["/console/session", sessionResource(session)],
    ...(provider === null ? [] : signInPages({ ...common, provider, seal, origins })),
  ]);
  const isAdmitted = originGuard({ origins, hasToken: authenticator.isRequired, log });

  return (request, response) => {
    const path = pathOf(request);
    if (path === "/healthz") return sendJson(response, 200, JSON.stringify({ alive: true }));
    if (path === "/readyz") return void sendReadiness(readiness, response);
    const call = routes.get(path);
    const page = pages.get(path);
    const isOurs = call !== undefined || page !== undefined || own.has(path) || CALLS.test(path);
    if (!isOurs && fallback !== undefined) return fallback(request, response);
    if (!isAdmitted(request, response)) return;
    if (call !== undefined) return call(request, response); // The call checks the token itself, to refuse in its protocol.
    if (page !== undefined) return page(request, response);
    const resource = own.get(path) ?? streamOf(path);
    if (resource !== undefined) {
      const { required, methods, answerTo } = resource;
      if (!methods.includes(request.method!)) {
        response.setHeader("allow", methods.join(", "));
        return refuse(new SpoolError("INVALID_ARGUMENT", `method not allowed: use ${methods.join(" or ")}`), 405);
      }
      void identify(request).then((caller) => {
        try {
          if ("refusal" in caller) throw caller.refusal;
          if (required !== null) requireAccess(caller.identity.principal, required);
          answerTo(caller.identity)(request, response);
        } catch (error) {
          closeAfter(request, response);
          refuse(error);
        }
      });
      return;
    }
    return refuse(notFound(path), 404);

    function refuse(error: unknown, status?: number): void {
      sendError(response, toConnectError(error, log), status);
    }
  };

  function streamOf(path: string): Resource | undefined {
    const stream = eventStream(tasks, path);
    if (stream === undefined) return undefined;
    const answerTo = (identity: Identity) => eventSource(stream, { drain, track: trackStreams, identity, log });
    return { required: null, methods: ["GET"], answerTo };
  }
}

/** Sends the readiness report. Never rejects. */
async function sendReadiness(readiness: Readiness, response: HttpResponse): Promise<void> {
  const report = await readiness.report();
  sendJson(response, report.ready ? 200 : 503, JSON.stringify(report));
}

function notFound(path: string): SpoolError {
  const hint = path.endsWith("WorkerService/Work") ? ": bidirectional streams are served over gRPC only" : "";
  return new Unimplemented(`unknown path ${path}${hint}`);
}
