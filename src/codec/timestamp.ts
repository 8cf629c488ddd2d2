import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { brokenPromise } from "./rpc-error.ts";

/** A time of an answer that is always set. @throws SpoolRpcError (DATA_LOSS) where the time is not set */
export function readTime(time: Timestamp | undefined, field: string): Date {
  if (!time) throw brokenPromise(`the answer holds no ${field}`);
  return timestampDate(time);
}

export function readTimeOrNull(time: Timestamp | undefined): Date | null {
  return time ? timestampDate(time) : null;
}

/** The fields that are set; a time that is null is left out of a message. */
export function timeFields<Field extends string>(times: Record<Field, Date | null>): { [Key in Field]?: Timestamp } {
  const fields: { [Key in Field]?: Timestamp } = {};
  for (const field in times) {
    const time = times[field];
    if (time !== null) fields[field] = timestampFromDate(time);
  }
  return fields;
}
