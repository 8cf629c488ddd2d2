import type { FollowAuditLogRequest } from "../../gen/spool/v1/admin_service_pb.ts";
import { Checks } from "./checks.ts";

export function parseFollowAuditLog({ fromId }: FollowAuditLogRequest): { fromId: bigint } {
  const checks = new Checks();
  if (fromId < 0n) checks.refuse("from_id", "must be 0 or more");
  return checks.passed({ fromId });
}
