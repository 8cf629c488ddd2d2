import { hash } from "node:crypto";
import type { JsonValue } from "./json.ts";

/** Returns the canonical JSON of a value: keys sorted by code unit, no white space (RFC 8785). */
export function canonicalJson(value: JsonValue): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  let members = "";
  for (const key of Object.keys(value).sort()) {
    members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(value[key]!)}`;
  }
  return `{${members}}`;
}

/** Returns the SHA-256 of the canonical JSON, in hex. Equal values have equal digests. */
export function digestJson(value: JsonValue): string {
  return hash("sha256", canonicalJson(value));
}
