import { digestJson } from "../../domain/canonical-json.ts";
import type { TaskStatus } from "../../domain/task.ts";

/** The filter of a list. The order of statuses and kinds does not matter. */
export interface ListFilter {
  statuses: readonly TaskStatus[];
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** In lower case; empty or missing: all. */
  taskIdPrefix?: string;
}

const VERSION = 1;
const DIGEST_BYTES = 16;
const TASK_ID_BYTES = 16;
const TOKEN_BYTES = 1 + DIGEST_BYTES + TASK_ID_BYTES;

/**
 * Encodes the start of the next page of a list, opaque to callers: a version byte, a digest of the filter and the last
 * task of the page, in base64url. Because of the digest, a token is valid only for lists with the same filter.
 */
export function encodePageToken(lastTaskId: string, filter: ListFilter): string {
  const taskId = Buffer.from(lastTaskId.replaceAll("-", ""), "hex");
  return Buffer.concat([Buffer.of(VERSION), filterDigest(filter), taskId]).toString("base64url");
}

/** @returns the last task of the previous page; null for a token that no list with this filter created */
export function decodePageToken(token: string, filter: ListFilter): string | null {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.toString("base64url") !== token) return null; // Node's decoder ignores invalid characters.
  if (bytes.length !== TOKEN_BYTES || bytes[0] !== VERSION) return null;
  if (!bytes.subarray(1, 1 + DIGEST_BYTES).equals(filterDigest(filter))) return null;
  const hex = bytes.toString("hex", 1 + DIGEST_BYTES);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function filterDigest({ statuses, kinds, labels, taskIdPrefix = "" }: ListFilter): Buffer {
  const filter = { statuses: [...statuses].sort(), kinds: [...kinds].sort(), labels: { ...labels } };
  // Without a prefix, the digest is that of versions without prefixes: tokens outlive an update.
  const digest = digestJson(taskIdPrefix === "" ? filter : { ...filter, taskIdPrefix });
  return Buffer.from(digest, "hex").subarray(0, DIGEST_BYTES);
}
