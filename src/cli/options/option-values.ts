import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { InvalidArgumentError } from "commander";
import type { JsonObject } from "../../client/client.ts";
import { UsageError } from "./usage-error.ts";

// How the values of options are written. What these throw names the option, and ends with exit code 2.

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `500ms`, `30s`, `5m`, `2h`, `1d` or `0`, in milliseconds. */
export function parseDuration(value: string): number {
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(value) ?? [];
  if (value === "0") return 0;
  if (digits === undefined) throw new InvalidArgumentError("Write a duration as 500ms, 30s, 5m, 2h or 1d.");
  return Math.round(Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]);
}

export function parseSeq(value: string): bigint {
  if (!/^\d{1,18}$/.test(value)) throw new InvalidArgumentError("Write a seq as a number, 1 for the first event.");
  return BigInt(value);
}

export function parseCount(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError("Write a number, 1 or more.");
  return Number(value);
}

/** ISO 8601 with its offset: a time without one would mean another moment on another machine. */
export function parseTime(value: string): Date {
  const time = new Date(value);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$/i.test(value) || Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError("Write a time as 2027-01-31T08:00:00Z.");
  }
  return time;
}

/** Gathers `--label team=search --label tier=1`. The first `=` ends the key. */
export function gatherLabel(value: string, labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  const end = value.indexOf("=");
  if (end <= 0) throw new InvalidArgumentError("Write a label as KEY=VALUE.");
  const key = value.slice(0, end);
  if (Object.hasOwn(labels, key)) throw new InvalidArgumentError(`The label ${key} is there twice.`);
  return { ...labels, [key]: value.slice(end + 1) };
}

/** Gathers an option that may be given again. */
export function gather(value: string, values: readonly string[] = []): string[] {
  return [...values, value];
}

/** The params of a task: JSON as it stands, `@FILE`, or `-` for standard input. */
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
