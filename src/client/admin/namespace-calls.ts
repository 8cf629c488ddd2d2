import { fromBinary } from "@bufbuild/protobuf";
import { toLimitsMessage } from "../../codec/limits.ts";
import { fromNamespaceMessage } from "../../codec/namespace.ts";
import type { NamespaceState } from "../../domain/namespace-state.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import {
  AdminService,
  ListNamespacesResponseSchema,
  SetNamespaceResponseSchema,
} from "../../gen/spool/v1/admin_service_pb.ts";
import { RETRY_MS_DEFAULT, withRetries } from "../retry.ts";
import type { GrpcTransport } from "../transport/grpc-transport.ts";

export type { NamespaceState } from "../../domain/namespace-state.ts";

/** How long the server may take to answer, in ms. */
const ANSWER_MS_MAX = 20_000;

const method = AdminService.method;

/** Creates a namespace, or changes its limits. Repeating this is safe. @param limits null: they stay as they are */
export async function setNamespace(
  transport: GrpcTransport,
  { name, limits, retryMs = RETRY_MS_DEFAULT }: { name: string; limits: Limits | null; retryMs?: number },
): Promise<NamespaceState> {
  const request = { name, ...(limits !== null && { limits: toLimitsMessage(limits) }) };
  const read = (bytes: Buffer) => fromBinary(SetNamespaceResponseSchema, bytes);
  const call = () => transport.unary(method.setNamespace, request, { timeoutMs: ANSWER_MS_MAX, read });
  return fromNamespaceMessage((await withRetries(call, { retryMs })).namespace);
}

/** Returns the namespaces that the caller may use, by name. */
export async function listNamespaces(
  transport: GrpcTransport,
  { retryMs = RETRY_MS_DEFAULT }: { retryMs?: number } = {},
): Promise<NamespaceState[]> {
  const read = (bytes: Buffer) => fromBinary(ListNamespacesResponseSchema, bytes);
  const call = () => transport.unary(method.listNamespaces, {}, { timeoutMs: ANSWER_MS_MAX, read });
  return (await withRetries(call, { retryMs })).namespaces.map(fromNamespaceMessage);
}
