import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { brokenPromise } from "./rpc-error.ts";

/** Reads a required time of an answer. @throws SpoolRpcError (DATA_LOSS) if the time is missing */
export function readTime(time: Timestamp | undefined, field: string): Date {
  if (!time) throw brokenPromise(`the answer has no ${field}`);
  return timestampDate(time);
}

export function readTimeOrNull(time: Timestamp | undefined): Date | null {
  return time ? timestampDate(time) : null;
}

/** Returns the fields of a message for the times that are not null. */
export function timeFields<Field extends string>(times: Record<Field, Date | null>): { [Key in Field]?: Timestamp } {
  const fields: { [Key in Field]?: Timestamp } = {};
  for (const field in times) {
    const time = times[field];
    if (time !== null) fields[field] = timestampFromDate(time);
  }
  return fields;
}
