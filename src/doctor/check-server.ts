import { fromBinary } from "@bufbuild/protobuf";
import { SpoolRpcError } from "../codec/rpc-error.ts";
import type { GrpcTransport } from "../client/transport/grpc-transport.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "../gen/grpc/health/v1/health_pb.ts";
import { AdminService, DoctorCheckStatus, RunChecksResponseSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { DoctorCheck } from "../gen/spool/v1/admin_service_pb.ts";
import { ok, skipped } from "./check.ts";
import type { Check, CheckName, Finding, Section } from "./check.ts";
import { durationText } from "./format.ts";
import { STATEMENT_MS_MAX } from "./thresholds.ts";

/** The gRPC endpoint of a server. */
export interface ServerEndpoint {
  address: string;
  /** Whether the address was configured. False: it is the default. */
  isNamed: boolean;
  transport: GrpcTransport;
}

/** Calls the health service of a server, which has `timeoutMs` to answer. */
export async function checkHealth(
  endpoint: ServerEndpoint,
  signal: AbortSignal,
  timeoutMs: number = STATEMENT_MS_MAX,
): Promise<Finding> {
  const { address, transport } = endpoint;
  const startedAt = performance.now();
  const read = (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes);
  try {
    const { status } = await transport.unary(Health.method.check, {}, { timeoutMs, signal, read });
    const tookMs = performance.now() - startedAt;
    if (status === ServingStatus.SERVING) return ok(`${address} is SERVING, answered in ${durationText(tookMs)}`);
    const todo = "the server is starting, stopping or waiting for its database: read /readyz and its log";
    return { status: "fail", found: `${address} is not SERVING`, todo, section: "Start" };
  } catch (error) {
    return unanswered(endpoint, error, signal);
  }
}

/** The checks that a server made on request, or the finding that says why there are none. */
export type RequestedChecks = { checks: Check[]; by: string } | { checks: null; finding: Finding };

/** Requests that a server runs the checks on its own database. */
export async function requestChecks(
  endpoint: ServerEndpoint,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<RequestedChecks> {
  const read = (bytes: Buffer) => fromBinary(RunChecksResponseSchema, bytes);
  try {
    const options = { timeoutMs, signal, read };
    const { checks, host, pid } = await endpoint.transport.unary(AdminService.method.runChecks, {}, options);
    return { checks: checks.map(toCheck), by: `${endpoint.address} (${host}/${pid})` };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof SpoolRpcError && error.code === "UNIMPLEMENTED") {
      const todo = "update the server, or run a doctor of its version on a machine that reaches its database";
      const found = `${endpoint.address} does not support checks: its version is older than this doctor's`;
      return { checks: null, finding: skipped(found, { todo, section: "Spool doctor" }) };
    }
    return { checks: null, finding: unanswered(endpoint, error, signal) };
  }
}

/** Converts a check of a server. A newer server may report unknown names and sections: they are printed unchanged. */
function toCheck({ name, status, found, todo, section }: DoctorCheck): Check {
  const words = { name: name as CheckName, found, todo, section: (section || null) as Section };
  switch (status) {
    case DoctorCheckStatus.OK:
      return { name: words.name, ...ok(found) };
    case DoctorCheckStatus.WARN:
      return { ...words, status: "warn" };
    case DoctorCheckStatus.FAIL:
      return { ...words, status: "fail" };
    default:
      return { ...words, status: "skipped", todo: todo || null };
  }
}

function unanswered({ address }: ServerEndpoint, error: unknown, signal: AbortSignal): Finding {
  if (signal.aborted) throw error;
  const found = `${address} does not answer: ${(error as Error).message}`;
  const todo =
    "check --address (https:// if the server uses TLS), that a server runs there, and that SPOOL_TOKEN is its token";
  return { status: "fail", found, todo, section: "Start" };
}
