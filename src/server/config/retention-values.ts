import * as v from "valibot";
import { parseDurationMs } from "../../domain/duration.ts";
import { KIND_CHARS_MAX, RETENTION_KINDS_MAX, RETENTION_MS_MAX, RETENTION_MS_MIN } from "../../domain/limits.ts";
import { durationOr } from "./setting-values.ts";

// The schemas of the settings of retention. A retention is in milliseconds; null: forever.

const FORMS = "a duration of 1s to 36500d, such as 12h or 30d, or forever";
const KIND = new RegExp(`^[A-Za-z0-9._-]{1,${KIND_CHARS_MAX}}$`);

/** Accepts a duration with a unit, or `forever`, which becomes null. */
export function retention(): v.GenericSchema<unknown, number | null> {
  return durationOr("forever", { minMs: RETENTION_MS_MIN, maxMs: RETENTION_MS_MAX, bounds: "1s to 36500d" });
}

/** Accepts `ingest=7d,audit=forever`, or an object of the config file: `{ "ingest": "7d" }`. */
export function retentionByKind(): v.GenericSchema<unknown, ReadonlyMap<string, number | null>> {
  const message = "must be pairs of a kind and its retention, such as ingest=7d,audit=forever";
  const pairs = v.pipe(
    v.string(message),
    v.transform((text) => text.split(",").map((pair) => splitPair(pair.trim()))),
  );
  const members = v.pipe(
    v.record(v.string(), v.string(message), message),
    v.transform((kinds) => Object.entries(kinds)),
  );
  return v.pipe(
    v.union([pairs, members], message),
    v.check((entries) => entries.every(([kind]) => KIND.test(kind)), message),
    v.check(
      (entries) => new Set(entries.map(([kind]) => kind)).size === entries.length,
      "must be pairs that name each kind once",
    ),
    v.check((entries) => entries.length <= RETENTION_KINDS_MAX, `must be at most ${RETENTION_KINDS_MAX} pairs`),
    v.check(
      (entries) => entries.every(([, text]) => readRetention(text) !== undefined),
      `must be pairs whose retention is ${FORMS}`,
    ),
    v.transform((entries) => new Map(entries.map(([kind, text]) => [kind, readRetention(text)!]))),
  );
}

/** The first `=` ends the kind. Without one, the kind is empty, which no kind is. */
function splitPair(pair: string): [kind: string, text: string] {
  const end = pair.indexOf("=");
  return [pair.slice(0, Math.max(0, end)), pair.slice(end + 1)];
}

/** Returns milliseconds; null: forever; undefined: the text is out of bounds or no retention. */
function readRetention(text: string): number | null | undefined {
  if (text === "forever") return null;
  const ms = parseDurationMs(text);
  return ms === null || ms < RETENTION_MS_MIN || ms > RETENTION_MS_MAX ? undefined : ms;
}
