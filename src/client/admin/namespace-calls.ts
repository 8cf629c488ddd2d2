import { toLimitsMessage } from "../../codec/limits.ts";
import { fromNamespaceMessage } from "../../codec/namespace.ts";
import type { NamespaceState } from "../../domain/namespace-state.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { RETRY_MS_DEFAULT } from "../retry.ts";
import type { GrpcTransport } from "../transport/grpc-transport.ts";
import { adminCall } from "./admin-call.ts";

export type { NamespaceState } from "../../domain/namespace-state.ts";

const method = AdminService.method;

/** Creates a namespace, or changes its limits. Repeating this is safe. @param limits null: they stay as they are */
export async function setNamespace(
  transport: GrpcTransport,
  { name, limits, retryMs = RETRY_MS_DEFAULT }: { name: string; limits: Limits | null; retryMs?: number },
): Promise<NamespaceState> {
  const request = { name, ...(limits !== null && { limits: toLimitsMessage(limits) }) };
  return fromNamespaceMessage((await adminCall(transport, method.setNamespace, request, retryMs)).namespace);
}

/** Returns the namespaces that the caller may use, by name. */
export async function listNamespaces(
  transport: GrpcTransport,
  { retryMs = RETRY_MS_DEFAULT }: { retryMs?: number } = {},
): Promise<NamespaceState[]> {
  return (await adminCall(transport, method.listNamespaces, {}, retryMs)).namespaces.map(fromNamespaceMessage);
}
