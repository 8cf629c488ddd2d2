import { isDeepStrictEqual } from "node:util";
import { contains } from "../../domain/grants.ts";
import type { Grants } from "../../domain/principal.ts";
import type { Limits } from "../../domain/tenant-limits.ts";
import { Validity } from "./validity.ts";

/** What every entry of the access file gives its callers. */
interface Given {
  grants: Grants;
  limits: Limits;
}

/** An entry of the access file, and whether it is still there. */
export interface AccessEntry<Value extends Given> {
  readonly value: Value;
  readonly validity: Validity;
}

/**
 * Returns the entries of a new file. Open calls go on if their entry is still there, with at least the same rights.
 * Others end: their entry has vanished, or calls would keep rights that it no longer gives. Limits that have not changed
 * stay the same object, so what was counted before still counts.
 */
export function replaceEntries<Value extends Given>(
  before: ReadonlyMap<string, AccessEntry<Value>>,
  values: ReadonlyMap<string, Value>,
): Map<string, AccessEntry<Value>> {
  const entries = new Map<string, AccessEntry<Value>>();
  for (const [key, value] of values) {
    const last = before.get(key);
    const isKept = last !== undefined && contains(value.grants, last.value.grants);
    const limits = isDeepStrictEqual(last?.value.limits, value.limits) ? last!.value.limits : value.limits;
    entries.set(key, { value: { ...value, limits }, validity: isKept ? last.validity : new Validity() });
  }
  for (const [key, { validity }] of before) if (entries.get(key)?.validity !== validity) validity.end("revoked");
  return entries;
}
