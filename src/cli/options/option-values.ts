import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { InvalidArgumentError } from "commander";
import type { JsonObject } from "../../client/client.ts";
import { parseDurationMs } from "../../domain/duration.ts";
import { SCOPES } from "../../domain/principal.ts";
import type { Scope } from "../../domain/principal.ts";
import { TASK_TOKEN_SCOPES } from "../../domain/task-token.ts";
import type { TaskTokenScope } from "../../domain/task-token.ts";
import { UsageError } from "./usage-error.ts";

// Parsers of option values. Commander adds the option to the message of an InvalidArgumentError; the exit code is 2.

/** Parses `500ms`, `30s`, `5m`, `2h`, `1d` or `0` to milliseconds. */
export function parseDuration(value: string): number {
  const ms = parseDurationMs(value);
  if (ms === null) throw new InvalidArgumentError("A duration is a number with a unit: 500ms, 30s, 5m, 2h or 1d.");
  return ms;
}

export function parseSeq(value: string): bigint {
  if (!/^\d{1,18}$/.test(value)) throw new InvalidArgumentError("A seq is a whole number; the first event has seq 1.");
  return BigInt(value);
}

export function parseCount(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError("It must be a whole number of at least 1.");
  return Number(value);
}

/** Parses an ISO 8601 time. The offset is required: without it, the time would depend on the machine's time zone. */
export function parseTime(value: string): Date {
  const time = new Date(value);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$/i.test(value) || Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError("A time has a date and an offset: 2027-01-31T08:00:00Z.");
  }
  return time;
}

/** Checks an ISO 8601 time, or a duration before now. Returns the text, for resolveTime. */
export function checkTimeOrAge(value: string): string {
  if (/^\d{4}-/.test(value)) parseTime(value);
  else parseDuration(value);
  return value;
}

/** Resolves a text of checkTimeOrAge. */
export function resolveTime(value: string, now: Date): Date {
  return /^\d{4}-/.test(value) ? parseTime(value) : new Date(now.getTime() - parseDuration(value));
}

/** Parses an ISO 8601 time, or a duration from now. */
export function parseExpiry(value: string): Date {
  return /^\d{4}-/.test(value) ? parseTime(value) : new Date(Date.now() + parseDuration(value));
}

/** Collects `--scope tasks:read --scope tasks:start`. */
export function collectScope(value: string, scopes: readonly Scope[] = []): Scope[] {
  const scope = SCOPES.find((known) => known === value);
  if (scope === undefined) throw new InvalidArgumentError(`The scopes are ${SCOPES.join(", ")}.`);
  return [...scopes, scope];
}

/** Collects `--scope tasks:read --scope tasks:cancel`. */
export function collectTaskScope(value: string, scopes: readonly TaskTokenScope[] = []): TaskTokenScope[] {
  const scope = TASK_TOKEN_SCOPES.find((known) => known === value);
  if (scope === undefined) throw new InvalidArgumentError(`The scopes are ${TASK_TOKEN_SCOPES.join(", ")}.`);
  return [...scopes, scope];
}

/** Collects `--label team=search --label tier=1`. The first `=` ends the key. */
export function collectLabel(value: string, labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  const end = value.indexOf("=");
  if (end <= 0) throw new InvalidArgumentError("A label is KEY=VALUE.");
  const key = value.slice(0, end);
  if (Object.hasOwn(labels, key)) throw new InvalidArgumentError(`The label ${key} is given twice.`);
  return { ...labels, [key]: value.slice(end + 1) };
}

/** Collects the values of an option that can be repeated. */
export function collect(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

/** Splits a list of patterns at its commas. */
export function splitPatterns(text: string): string[] {
  return text.split(",").map((pattern) => pattern.trim());
}

/** Reads the params of a task from inline JSON, from `@FILE`, or from standard input for `-`. */
export async function readParams(source: string): Promise<JsonObject> {
  const json = await readSource(source);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new UsageError(`--params: must be JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError("--params: must be a JSON object");
  }
  return value as JsonObject;
}

async function readSource(source: string): Promise<string> {
  if (source === "-") return text(process.stdin);
  if (!source.startsWith("@")) return source;
  try {
    return await readFile(source.slice(1), "utf8");
  } catch (error) {
    throw new UsageError(`--params: ${(error as Error).message}`, { cause: error });
  }
}
