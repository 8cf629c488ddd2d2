import { digestJson } from "../../domain/canonical-json.ts";
import type { TaskStatus } from "../../domain/task.ts";

/** Which tasks a list is of. The order of statuses and kinds says nothing. */
export interface ListFilter {
  statuses: readonly TaskStatus[];
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** In lower case; empty, or left out: all. */
  taskIdPrefix?: string;
}

const VERSION = 1;
const DIGEST_BYTES = 16;
const TASK_ID_BYTES = 16;
const TOKEN_BYTES = 1 + DIGEST_BYTES + TASK_ID_BYTES;

/**
 * Says where the next page of a list begins. Opaque to callers: a version byte, a digest of the filters, so that the
 * token continues no other list, and the last task given, in base64url.
 */
export function encodePageToken(lastTaskId: string, filter: ListFilter): string {
  const taskId = Buffer.from(lastTaskId.replaceAll("-", ""), "hex");
  return Buffer.concat([Buffer.of(VERSION), filterDigest(filter), taskId]).toString("base64url");
}

/** @returns the task that the page before ended with, or null for a token that no list with these filters gave */
export function decodePageToken(token: string, filter: ListFilter): string | null {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.toString("base64url") !== token) return null; // The decoder of Node overlooks what is not base64url.
  if (bytes.length !== TOKEN_BYTES || bytes[0] !== VERSION) return null;
  if (!bytes.subarray(1, 1 + DIGEST_BYTES).equals(filterDigest(filter))) return null;
  const hex = bytes.toString("hex", 1 + DIGEST_BYTES);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function filterDigest({ statuses, kinds, labels, taskIdPrefix = "" }: ListFilter): Buffer {
  const filter = { statuses: [...statuses].sort(), kinds: [...kinds].sort(), labels: { ...labels } };
  // Without a prefix as before there were any: tokens outlive an update.
  const digest = digestJson(taskIdPrefix === "" ? filter : { ...filter, taskIdPrefix });
  return Buffer.from(digest, "hex").subarray(0, DIGEST_BYTES);
}
