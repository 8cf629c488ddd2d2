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

/** A server by its address. */
export interface ServerDoor {
  address: string;
  /** Whether somebody has said so, or it is the default. */
  isNamed: boolean;
  transport: GrpcTransport;
}

const timeoutMs = STATEMENT_MS_MAX;

export async function lookAtHealth(door: ServerDoor, signal: AbortSignal): Promise<Finding> {
  const { address, transport } = door;
  const askedAt = performance.now();
  const read = (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes);
  try {
    const { status } = await transport.unary(Health.method.check, {}, { timeoutMs, signal, read });
    const tookMs = performance.now() - askedAt;
    if (status === ServingStatus.SERVING) return ok(`${address} is SERVING, and said so in ${durationText(tookMs)}`);
    const todo = "it starts or stops, or waits for its database: /readyz and its log say what it lacks";
    return { status: "fail", found: `${address} is not SERVING`, todo, section: "Start" };
  } catch (error) {
    return unanswered(door, error, signal);
  }
}

/** What a server answers that is asked for its checks: its checks, or why there are none. */
export type AskedChecks = { checks: Check[]; by: string } | { checks: null; finding: Finding };

/** Asks a server to run the checks on its own database. */
export async function askForChecks(
  door: ServerDoor,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<AskedChecks> {
  const read = (bytes: Buffer) => fromBinary(RunChecksResponseSchema, bytes);
  try {
    const options = { timeoutMs, signal, read };
    const { checks, host, pid } = await door.transport.unary(AdminService.method.runChecks, {}, options);
    return { checks: checks.map(toCheck), by: `${door.address} (${host}/${pid})` };
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof SpoolRpcError && error.code === "UNIMPLEMENTED") {
      const todo = "run the doctor of that server's version beside its database, or update the server";
      const found = `${door.address} makes no checks: it is older than this doctor`;
      return { checks: null, finding: skipped(found, { todo, section: "Spool doctor" }) };
    }
    return { checks: null, finding: unanswered(door, error, signal) };
  }
}

/** A newer server may report names and sections that this doctor does not know. They are printed as they are. */
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

function unanswered({ address }: ServerDoor, error: unknown, signal: AbortSignal): Finding {
  if (signal.aborted) throw error;
  const found = `${address} does not answer: ${(error as Error).message}`;
  const todo =
    "see that a server runs there (--address), by TLS (https://) if it speaks it, and SPOOL_TOKEN is its token";
  return { status: "fail", found, todo, section: "Start" };
}
