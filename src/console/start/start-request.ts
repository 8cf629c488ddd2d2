import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Violation } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { StartTaskRequestSchema } from "../../gen/spool/v1/task_service_pb.ts";

/** The units of a timeout, in ms. */
export const TIME_UNITS = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 } as const;

/** The fields of the form, as typed. */
export interface StartFields {
  readonly kind: string;
  readonly params: string;
  readonly labels: readonly { readonly key: string; readonly value: string }[];
  readonly requestId: string;
  readonly timeout: string;
  readonly timeoutUnit: keyof typeof TIME_UNITS;
  readonly maxAttempts: string;
}

export const EMPTY_FIELDS: StartFields = {
  kind: "",
  params: "{}",
  labels: [],
  requestId: "",
  timeout: "",
  timeoutUnit: "s",
  maxAttempts: "",
};

/**
 * Parses the fields into a request, or returns the violations. Checks only what could not be sent exactly. The server
 * validates the rest.
 */
export function readFields(
  fields: StartFields,
):
  | { request: MessageInitShape<typeof StartTaskRequestSchema>; violations: null }
  | { request: null; violations: Violation[] } {
  const violations: Violation[] = [];
  const params = readParams(fields.params, violations);
  const labels = readLabels(fields.labels, violations);
  const timeoutMs = readNumber("timeout", fields.timeout, violations);
  const maxAttempts = readNumber("max_attempts", fields.maxAttempts, violations);
  if (violations.length > 0) return { request: null, violations };
  const request = {
    kind: fields.kind.trim(),
    params,
    labels,
    requestId: fields.requestId.trim(),
    ...(timeoutMs !== null && { timeout: durationFromMs(Math.round(timeoutMs * TIME_UNITS[fields.timeoutUnit])) }),
    maxAttempts: maxAttempts ?? 0,
  };
  return { request, violations: null };
}

/** Returns why a text is not valid params; null: it is valid. */
export function paramsProblem(text: string): string | null {
  const violations: Violation[] = [];
  readParams(text, violations);
  return violations[0]?.description ?? null;
}

function readParams(text: string, violations: Violation[]): JsonObject {
  try {
    const value: unknown = JSON.parse(text.trim() === "" ? "{}" : text, requireExact);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
    violations.push({ field: "params", description: "must be a JSON object, in braces" });
  } catch (error) {
    const problem = error instanceof SyntaxError ? `must be JSON: ${error.message}` : (error as Error).message;
    violations.push({ field: "params", description: problem });
  }
  return {};
}

/** Rejects values that are valid JSON but cannot be sent exactly. */
function requireExact(key: string, value: unknown): unknown {
  const isText = key.isWellFormed() && (typeof value !== "string" || value.isWellFormed());
  if (!isText) throw new RangeError("must not hold an unpaired surrogate");
  if (typeof value === "number" && !Number.isFinite(value))
    throw new RangeError("must not hold a number above 1.8e308");
  return value;
}

function readLabels(labels: StartFields["labels"], violations: Violation[]): Record<string, string> {
  const filled = labels.filter(({ key, value }) => key !== "" || value !== "");
  const keys = filled.map(({ key }) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) violations.push({ field: "labels", description: `must not have ${twice} more than once` });
  return Object.fromEntries(filled.map(({ key, value }) => [key, value]));
}

function readNumber(field: string, text: string, violations: Violation[]): number | null {
  if (text.trim() === "") return null;
  const value = Number(text);
  if (Number.isFinite(value) && Math.abs(value) < 2 ** 31) return value;
  violations.push({ field, description: "must be a number" });
  return null;
}
