import { fromBinary } from "@bufbuild/protobuf";
import { pause } from "../../async/pause.ts";
import { fromAuditEventMessage } from "../../codec/audit-event.ts";
import { brokenPromise } from "../../codec/rpc-error.ts";
import type { AuditEvent } from "../../domain/audit-event.ts";
import { HEARTBEAT_MS_DEFAULT } from "../../domain/limits.ts";
import { AdminService, FollowAuditLogResponseSchema } from "../../gen/spool/v1/admin_service_pb.ts";
import { RETRY_MS_DEFAULT, retryBudget } from "../retry.ts";
import type { GrpcTransport } from "../transport/grpc-transport.ts";

export type { AuditEvent } from "../../domain/audit-event.ts";

/** Servers send a heartbeat every 15 s. */
const SILENCE_MS = 2.5 * HEARTBEAT_MS_DEFAULT;

/**
 * Follows the audit log and reconnects after failures: every act comes once, in its order. Yields an empty list when all
 * acts that were stored before have come, and as a heartbeat.
 *
 * @throws errors that a retry does not solve, at once; the last error after `retryMs` without a page
 */
export async function* followAuditLog(
  transport: GrpcTransport,
  { retryMs = RETRY_MS_DEFAULT, signal }: { retryMs?: number | undefined; signal?: AbortSignal | undefined },
): AsyncGenerator<AuditEvent[], void, undefined> {
  const budget = retryBudget(retryMs);
  const read = (bytes: Buffer) => fromBinary(FollowAuditLogResponseSchema, bytes);
  let fromId = 0n;
  for (;;) {
    try {
      const limits = { silenceMs: SILENCE_MS, signal, read };
      for await (const page of transport.stream(AdminService.method.followAuditLog, { fromId }, limits)) {
        budget.succeeded();
        fromId = page.nextFromId;
        yield page.events.map(fromAuditEventMessage);
      }
      throw brokenPromise("the stream of the audit log ended without an error");
    } catch (error) {
      const retryInMs = budget.nextDelayMs(error);
      if (retryInMs === null) throw error;
      await pause(retryInMs, signal);
    }
  }
}
