import * as v from "valibot";
import { parseDurationMs } from "../../domain/duration.ts";
import { databaseUrlProblem } from "../../store/connection/database-url.ts";
import type { ServerRole } from "../../store/connection/session-check.ts";

// The schemas of setting values, as flags, variables and files provide them.

export function integer(min: number, max: number): v.GenericSchema<unknown, number> {
  const message = `must be an integer from ${min} to ${max}`;
  const digits = v.pipe(v.string(message), v.regex(/^\d{1,15}$/, message), v.transform(Number));
  return v.pipe(
    v.union([v.number(), digits], message),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

/** Accepts a duration with a unit, such as 90m, or a word, which becomes null. Returns milliseconds. */
export function durationOr(
  word: string,
  { minMs, maxMs, bounds }: { minMs: number; maxMs: number; bounds: string },
): v.GenericSchema<unknown, number | null> {
  const message = `must be a duration of ${bounds}, such as 12h or 30d, or ${word}`;
  const isInBounds = (ms: number | null) => ms !== null && ms >= minMs && ms <= maxMs;
  return v.pipe(
    v.string(message),
    v.check((text) => text === word || isInBounds(parseDurationMs(text)), message),
    v.transform((text) => (text === word ? null : parseDurationMs(text))),
  );
}

/** Accepts origins as browsers write them: a comma-separated text or a list. */
export function origins(): v.GenericSchema<unknown, string[]> {
  const message = "must be origins, such as https://app.example:8443, separated by commas";
  const split = v.pipe(
    v.string(message),
    v.transform((list) => list.split(",").map((origin) => origin.trim())),
  );
  const isOrigin = (text: string) => /^https?:/.test(text) && URL.parse(text)?.origin === text;
  return v.pipe(
    v.union([v.array(v.string(message), message), split], message),
    v.check((list) => list.every(isOrigin), message),
  );
}

/** Accepts a port, or `off`, which becomes null. */
export function portOrOff(): v.GenericSchema<unknown, number | null> {
  const off = v.pipe(
    v.literal("off"),
    v.transform(() => null),
  );
  return v.union([off, integer(0, 65_535)], "must be an integer from 0 to 65535, or off");
}

export function text(pattern: RegExp, what: string): v.GenericSchema<unknown, string> {
  return v.pipe(v.string(`must be ${what}`), v.regex(pattern, `must be ${what}`));
}

/** Accepts a Postgres URL, with one host or several. */
export function databaseUrl(role: ServerRole): v.GenericSchema<unknown, string> {
  return v.pipe(
    text(/^postgres(ql)?:\/\/./, "a URL that begins with postgres:// or postgresql://"),
    v.check(
      (url) => databaseUrlProblem(url, role) === null,
      ({ input }) => databaseUrlProblem(input, role) ?? "",
    ),
  );
}

export function path(): v.GenericSchema<unknown, string> {
  return text(/^[^\0]+$/, "a path");
}

export function host(): v.GenericSchema<unknown, string> {
  return text(/^[A-Za-z0-9_.:%-]+$/, "an address, without brackets, or a host name");
}

export function flag(): v.GenericSchema<unknown, boolean> {
  const message = "must be true or false, on or off";
  const words = v.pipe(
    v.picklist(["true", "false", "on", "off", "1", "0"], message),
    v.transform((word) => word === "true" || word === "on" || word === "1"),
  );
  return v.union([v.boolean(), words], message);
}
