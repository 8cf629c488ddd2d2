import { create } from "@bufbuild/protobuf";
import type { NamespaceState, NamespaceUsage } from "../domain/namespace-state.ts";
import { HOME_SHARD } from "../domain/shard.ts";
import { NamespaceSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { Namespace as NamespaceMessage } from "../gen/spool/v1/admin_service_pb.ts";
import { fromLimitsMessage, toLimitsMessage } from "./limits.ts";
import { brokenPromise } from "./rpc-error.ts";
import { readTimeOrNull, timeFields } from "./timestamp.ts";

export function toNamespaceMessage(state: NamespaceState): NamespaceMessage {
  const { name, limits, createdAt, createdBy, shard, usage } = state;
  return create(NamespaceSchema, {
    name,
    limits: toLimitsMessage(limits),
    ...timeFields({ createdAt }),
    createdBy: createdBy ?? "",
    ...(usage !== null && {
      pendingTasks: BigInt(usage.pendingTasks),
      runningTasks: BigInt(usage.runningTasks),
      storedBytes: BigInt(usage.storedBytes),
    }),
    shard,
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
    shard: message.shard || HOME_SHARD, // An older server names none.
    usage: usageOf(message),
  };
}

function usageOf({ pendingTasks, runningTasks, storedBytes }: NamespaceMessage): NamespaceUsage | null {
  if (pendingTasks === undefined || runningTasks === undefined || storedBytes === undefined) return null;
  return {
    pendingTasks: Number(pendingTasks),
    runningTasks: Number(runningTasks),
    storedBytes: Number(storedBytes),
  };
}
