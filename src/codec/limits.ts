import { create } from "@bufbuild/protobuf";
import type { Limits } from "../domain/tenant-limits.ts";
import { LimitsSchema } from "../gen/spool/v1/admin_service_pb.ts";
import type { Limits as LimitsMessage } from "../gen/spool/v1/admin_service_pb.ts";

/** The limits that are numbers in both forms, and those that are int64 in the message. */
const NUMBERS = ["startsPerSecond", "streams"] as const;
const INT64S = [
  "pendingTasks",
  "runningTasks",
  "paramsBytes",
  "eventsPerTask",
  "bytesPerTask",
  "storedBytes",
] as const satisfies readonly Exclude<keyof Limits, (typeof NUMBERS)[number]>[];

export function toLimitsMessage(limits: Limits): LimitsMessage {
  const message = create(LimitsSchema);
  for (const name of NUMBERS) if (limits[name] !== undefined) message[name] = limits[name];
  for (const name of INT64S) if (limits[name] !== undefined) message[name] = BigInt(limits[name]);
  return message;
}

/** Values above 2^53 lose precision. All bounds of limits are lower. @param message undefined: no limits */
export function fromLimitsMessage(message: LimitsMessage | undefined): Limits {
  const limits: { -readonly [Name in keyof Limits]: Limits[Name] } = {};
  for (const name of [...NUMBERS, ...INT64S]) {
    const limit = message?.[name];
    if (limit !== undefined) limits[name] = Number(limit);
  }
  return limits;
}
