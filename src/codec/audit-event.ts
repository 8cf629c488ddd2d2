import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { AuditEvent } from "../domain/audit-event.ts";
import { AuditEventSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { AuditEvent as AuditEventMessage } from "../gen/spool/v1/admin_service_pb.ts";
import { readTime } from "./timestamp.ts";

export function toAuditEventMessage({ time, namespace, ...event }: AuditEvent): AuditEventMessage {
  return create(AuditEventSchema, { ...event, time: timestampFromDate(time), namespace: namespace ?? "" });
}

/** @throws SpoolRpcError (DATA_LOSS) if the time is missing */
export function fromAuditEventMessage(message: AuditEventMessage): AuditEvent {
  const { auditId, time, actor, action, target, namespace, details = {} } = message;
  const at = readTime(time, "time");
  return { auditId, time: at, actor, action, target, namespace: namespace === "" ? null : namespace, details };
}
