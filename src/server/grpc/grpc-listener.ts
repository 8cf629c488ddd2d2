import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Server } from "@grpc/grpc-js";
import type { ServerCredentials, ServerInterceptor, ServerOptions } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { isIPv6 } from "node:net";
import type { Logger } from "pino";
import {
  MESSAGE_BYTES_MAX,
  STREAM_RESET_BURST_DEFAULT,
  STREAMS_PER_CONNECTION_DEFAULT,
  WRITE_AHEAD_KIB_DEFAULT,
} from "../../domain/limits.ts";
import type { ServiceAdmin } from "../../engine/api/service-admin.ts";
import type { TaskEngine } from "../../engine/api/task-engine.ts";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "../../gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "../../gen/grpc/health/v1/health_pb.ts";
import { file_spool_v1_errors } from "../../gen/spool/v1/errors_pb.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { adminService } from "../../rpc/services/admin-service.ts";
import type { AdminCalls, RunChecks } from "../../rpc/services/admin-service.ts";
import { CallerLimits, limitCallers } from "../../rpc/call/caller-limits.ts";
import { Drain } from "../../rpc/call/drain.ts";
import { guardService } from "../../rpc/call/guard.ts";
import type { Engines } from "../../rpc/call/guard.ts";
import { OPEN } from "../../rpc/call/identity.ts";
import type { Authenticator } from "../../rpc/call/identity.ts";
import { codeOf } from "../../rpc/errors.ts";
import { addService } from "../../rpc/grpc/grpc-binding.ts";
import { authentication, drainOthers } from "../../rpc/grpc/interceptors.ts";
import { nameStatuses } from "../../rpc/grpc/library-status.ts";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import type { CallContext } from "../../rpc/call/service.ts";
import { TenantLimits } from "../../rpc/call/tenant-limits.ts";
import { taskService } from "../../rpc/services/task-service.ts";
import { workerService } from "../../rpc/services/worker-service.ts";
import type { Certificate } from "../config/certificate.ts";
import { http2Limits } from "../http2-limits.ts";
import { guardStreams } from "./grpc-streams.ts";
import { reflectionOf } from "./reflection.ts";
import { tlsCredentials } from "./tls-credentials.ts";

/** Spool's services. The health service reports each by its name, and all of them by "". */
const SERVICES: readonly DescService[] = [TaskService, WorkerService, AdminService];

const OPTIONS: ServerOptions = {
  "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  // A follower may be idle for hours. Only the ping detects that its machine is gone.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // Channelz stays on: forceShutdown of grpc-js finds its sessions there.
};

/** An open gRPC listener. */
export interface GrpcListener {
  /** The port of the listener. */
  readonly port: number;
  /** New connections get the new certificate. Open connections stay. */
  setCertificate(certificate: Certificate): void;
  /** Sets the status that health reports. NOT_SERVING until this is called. */
  setServing(isServing: boolean): void;
  /**
   * Closes the listener: health reports NOT_SERVING, new calls are refused, streams and waits end with DRAINING, and
   * calls that write may finish. Resolves when all have ended. After graceMs the remaining calls are cut off.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Serves spool.v1.TaskService, WorkerService and AdminService over gRPC, with health and server reflection.
 *
 * @param host an address or a name of this machine
 * @param port 0: any free port
 * @param authenticator decides who calls; by default, every call is admitted. Calls to health are not authenticated
 * @param certificate not null: the listener uses TLS
 * @param track records each call
 * @param writeAheadKib how much a stream buffers ahead of its reader before it waits; a single frame may be larger
 * @param streamResetBurst how many streams a connection may cancel at once
 * @param streamsPerConnection how many calls and streams may be open on one connection; clients wait beyond that
 * @param runChecks the server's checks; undefined: it has none
 * @param admin the calls of operators; undefined: it has none
 * @param createTaskToken makes tokens for single tasks; undefined: it has none
 * @param limits the limits that all callers share
 * @param tenantLimits counts what namespaces and principals use at this server
 * @throws Error if the address cannot be listened on
 */
export async function openGrpcListener({
  engines,
  host,
  port,
  authenticator = OPEN,
  certificate = null,
  track,
  writeAheadKib = WRITE_AHEAD_KIB_DEFAULT,
  streamResetBurst = STREAM_RESET_BURST_DEFAULT,
  streamsPerConnection = STREAMS_PER_CONNECTION_DEFAULT,
  limits = new CallerLimits(),
  tenantLimits = new TenantLimits(),
  runChecks,
  admin,
  createTaskToken,
  log,
}: {
  engines: Engines;
  host: string;
  port: number;
  authenticator?: Authenticator;
  certificate?: Certificate | null;
  track?: CallTracker | undefined;
  writeAheadKib?: number;
  streamResetBurst?: number;
  streamsPerConnection?: number;
  limits?: CallerLimits;
  tenantLimits?: TenantLimits;
  runChecks?: RunChecks | undefined;
  admin?: AdminCalls | undefined;
  createTaskToken?: ServiceAdmin["createTaskToken"] | undefined;
  log: Logger;
}): Promise<GrpcListener> {
  const drain = new Drain();
  const interceptors: ServerInterceptor[] = [
    nameStatuses(METHODS, log),
    authentication(authenticator, log),
    drainOthers(drain, isOurs, log),
  ];
  const server = new Server({
    ...OPTIONS,
    "grpc.max_concurrent_streams": streamsPerConnection,
    interceptors,
  });
  limitHttp2(server, streamResetBurst);
  const options = { drain, writeAheadMax: writeAheadKib * 1_024, track, log };
  const guard = { engines, limits: tenantLimits };
  const tasks = (engine: TaskEngine, namespace: string) => {
    const taskTokens = createTaskToken && { namespace, create: createTaskToken };
    return limitCallers(taskService(engine, { taskTokens }), limits);
  };
  const operations = () => adminService(runChecks, admin);
  addService(server, TaskService, guardService(TaskService, tasks, guard), options);
  addService(server, WorkerService, guardService(WorkerService, workerService, guard), options);
  addService(server, AdminService, guardService(AdminService, operations, guard), options);

  const health = new HealthImplementation();
  const setServing = (isServing: boolean) => {
    const status = isServing ? "SERVING" : "NOT_SERVING";
    for (const name of ["", ...SERVICES.map(({ typeName }) => typeName)]) health.setStatus(name, status);
  };
  setServing(false);
  health.addToServer(server);
  const others = [file_spool_v1_errors, file_google_rpc_status, file_google_rpc_error_details];
  reflectionOf([...SERVICES.map(({ file }) => file), file_grpc_health_v1_health, ...others]).addToServer(server);

  // A thousand refusals at once are cheap only if grpc-js does not create calls for them.
  const refusalOf = (path: string, callerOf: () => string) => {
    if (path !== FOLLOW_TASKS) return null;
    const caller = callerOf();
    const refusal = limits.refuseFollow(caller);
    if (refusal !== null) track?.(TaskService.method.followTasks, refusedContext(caller)).end(codeOf(refusal), refusal);
    return refusal;
  };
  const { credentials, setCertificate } = tlsCredentials(certificate);
  const boundPort = await listen(server, { host, port, credentials });
  guardStreams(server, { refusalOf, log });
  let closed: Promise<void> | undefined;
  return {
    port: boundPort,
    setCertificate,
    setServing,
    close({ graceMs }) {
      setServing(false);
      drain.begin();
      closed ??= shutDown(server, graceMs);
      return closed;
    },
  };
}

/**
 * Sets the options of the HTTP/2 servers that grpc-js creates. grpc-js has no option for stream resets, so this sets a
 * private field: see docs/adr/0023.
 *
 * @throws Error if this version of grpc-js has no such field, so that no server runs without the limit
 */
function limitHttp2(server: Server, streamResetBurst: number): void {
  const { commonServerOptions } = server as unknown as { commonServerOptions?: object };
  if (commonServerOptions === undefined) throw new Error("grpc-js: the server has no commonServerOptions");
  Object.assign(commonServerOptions, http2Limits(streamResetBurst));
}
/** The methods of the services, by path. */
const METHODS: ReadonlyMap<string, DescMethod> = new Map(
  SERVICES.flatMap(({ typeName, methods }) =>
    methods.map((method) => [`/${typeName}/${method.name}`, method] as const),
  ),
);

const FOLLOW_TASKS = `/${TaskService.typeName}/${TaskService.method.followTasks.name}`;
const REFUSED = AbortSignal.abort();

/** Creates the context of a call that is refused before grpc-js creates it. */
function refusedContext(caller: string): CallContext {
  return { signal: REFUSED, requestHeader: new Headers(), caller };
}

function isOurs(path: string): boolean {
  return SERVICES.some(({ typeName }) => path.startsWith(`/${typeName}/`));
}

function listen(
  server: Server,
  { host, port, credentials }: { host: string; port: number; credentials: ServerCredentials },
): Promise<number> {
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, boundPort) => {
      if (error === null) resolve(boundPort);
      else reject(error);
    });
  });
}

async function shutDown(server: Server, graceMs: number): Promise<void> {
  const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  const timer = setTimeout(() => server.forceShutdown(), graceMs);
  await ended;
  clearTimeout(timer);
}
