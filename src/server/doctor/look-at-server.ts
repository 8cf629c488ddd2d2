import { fromBinary } from "@bufbuild/protobuf";
import { toSession } from "../../client/convert.ts";
import type { GrpcTransport } from "../../client/grpc-transport.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { ListSessionsResponseSchema, WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { ok } from "./check.ts";
import type { Finding } from "./check.ts";
import { durationText } from "./figures.ts";
import { judgeSessions } from "./judge-sessions.ts";
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

/** Where the database itself is closed to others, its server tells who is there. The clock is then the same machine's. */
export async function askForSessions(door: ServerDoor, signal: AbortSignal): Promise<Finding> {
  const read = (bytes: Buffer) => fromBinary(ListSessionsResponseSchema, bytes);
  try {
    const options = { timeoutMs, signal, read };
    const { sessions } = await door.transport.unary(WorkerService.method.listSessions, {}, options);
    return judgeSessions({ at: new Date(), sessions: sessions.map(toSession) });
  } catch (error) {
    return unanswered(door, error, signal);
  }
}

function unanswered({ address }: ServerDoor, error: unknown, signal: AbortSignal): Finding {
  if (signal.aborted) throw error;
  const found = `${address} does not answer: ${(error as Error).message}`;
  const todo =
    "see that a server runs there (--address), by TLS (https://) if it speaks it, and SPOOL_TOKEN is its token";
  return { status: "fail", found, todo, section: "Start" };
}
