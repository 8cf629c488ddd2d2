import { create } from "@bufbuild/protobuf";
import type { NamespaceState } from "../domain/namespace-state.ts";
import { NamespaceSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { Namespace as NamespaceMessage } from "../gen/spool/v1/admin_service_pb.ts";
import { fromLimitsMessage, toLimitsMessage } from "./limits.ts";
import { brokenPromise } from "./rpc-error.ts";
import { readTimeOrNull, timeFields } from "./timestamp.ts";

export function toNamespaceMessage({ name, limits, createdAt, createdBy, ...usage }: NamespaceState): NamespaceMessage {
  return create(NamespaceSchema, {
    name,
    limits: toLimitsMessage(limits),
    ...timeFields({ createdAt }),
    createdBy: createdBy ?? "",
    pendingTasks: BigInt(usage.pendingTasks),
    runningTasks: BigInt(usage.runningTasks),
    storedBytes: BigInt(usage.storedBytes),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if the namespace is missing */
export function fromNamespaceMessage(message: NamespaceMessage | undefined): NamespaceState {
  if (message === undefined) throw brokenPromise("the answer has no namespace");
  return {
    name: message.name,
    limits: fromLimitsMessage(message.limits),
    createdAt: readTimeOrNull(message.createdAt),
    createdBy: message.createdBy || null,
    pendingTasks: Number(message.pendingTasks),
    runningTasks: Number(message.runningTasks),
    storedBytes: Number(message.storedBytes),
  };
}
