import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { InvalidArgument } from "../../domain/errors.ts";
import type { Violation } from "../../domain/errors.ts";
import {
  KIND_CHARS_MAX,
  LABEL_KEY_CHARS_MAX,
  LABEL_VALUE_CHARS_MAX,
  LABELS_MAX,
  NAMESPACE_CHARS_MAX,
  TASK_ID_PREFIX_CHARS_MAX,
  TASK_ID_PREFIX_CHARS_MIN,
} from "../../domain/limits.ts";
import { NAMESPACE_NAME } from "../../domain/namespace-name.ts";

/** Maximum violations per request: a list of a million wrong entries must not become a million texts. */
const VIOLATIONS_MAX = 100;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const NIL_UUID = "00000000-0000-0000-0000-000000000000";
const KIND = new RegExp(`^[A-Za-z0-9._-]{1,${KIND_CHARS_MAX}}$`);
const LABEL_KEY = new RegExp(`^[A-Za-z0-9._/-]{1,${LABEL_KEY_CHARS_MAX}}$`);

/** The ranges of google.protobuf.Duration and Timestamp, in seconds: 10,000 years, and the years 1 to 9999. */
const DURATION_SECONDS_MAX = 315_576_000_000n;
const TIMESTAMP_SECONDS_MIN = -62_135_596_800n;
const TIMESTAMP_SECONDS_MAX = 253_402_300_799n;
const NANOS_MAX = 999_999_999;
const MS_IN_NANOS = 1_000_000n;
const SECOND_IN_NANOS = 1_000_000_000n;

/**
 * The checks of one request. Each method takes the value of a field and returns the validated value. Violations are
 * collected, so that callers get all of them together. Values are valid only after `passed`, which throws if there are
 * any.
 */
export class Checks {
  /** The prefix of each field name. */
  readonly #path: string;
  readonly #violations: Violation[];

  constructor(path = "", violations: Violation[] = []) {
    this.#path = path;
    this.#violations = violations;
  }

  /** Returns the checks of a nested message, with shared violations. @param field the field of the message */
  within(field: string): Checks {
    return new Checks(`${this.#path}${field}.`, this.#violations);
  }

  /** @param field the path in the request, by proto names */
  refuse(field: string, description: string): void {
    if (this.#violations.length >= VIOLATIONS_MAX) return;
    this.#violations.push({ field: `${this.#path}${field}`, description });
  }

  /** Returns the validated request. @throws InvalidArgument with all violations */
  passed<Value>(value: Value): Value {
    if (this.#violations.length > 0) throw new InvalidArgument(this.#violations);
    return value;
  }

  /** Returns a task id in lower case. */
  taskId(text: string, field = "task_id"): string {
    if (!UUID.test(text)) this.refuse(field, "must be a UUID of 36 characters");
    return text.toLowerCase();
  }

  /** Returns a prefix of a UUID in lower case; empty: none. */
  taskIdPrefix(field: string, text: string): string {
    const isPrefix = text.length >= TASK_ID_PREFIX_CHARS_MIN && UUID.test(text + NIL_UUID.slice(text.length));
    if (text !== "" && !isPrefix) {
      const bounds = `${TASK_ID_PREFIX_CHARS_MIN} to ${TASK_ID_PREFIX_CHARS_MAX}`;
      this.refuse(field, `must be the first ${bounds} characters of a UUID of 36 characters`);
    }
    return text.toLowerCase();
  }

  kind(field: string, text: string): string {
    if (!KIND.test(text)) this.refuse(field, `must be 1 to ${KIND_CHARS_MAX} characters of [A-Za-z0-9._-]`);
    return text;
  }

  namespace(field: string, text: string): string {
    if (!NAMESPACE_NAME.test(text))
      this.refuse(field, `must be 1 to ${NAMESPACE_CHARS_MAX} characters of [A-Za-z0-9._-]`);
    return text;
  }

  /**
   * Returns text unchanged. Rejects text that Postgres or UTF-8 cannot carry.
   *
   * @param charsMax in Unicode code points
   */
  text(field: string, text: string, charsMax: number): string {
    if (!text.isWellFormed()) this.refuse(field, "must not hold an unpaired surrogate");
    else if (text.includes("\0")) this.refuse(field, "must not hold the character NUL");
    if (isLonger(text, charsMax)) this.refuse(field, `must have at most ${inFigures(charsMax)} characters`);
    return text;
  }

  labels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const entries = Object.entries(labels);
    if (entries.length > LABELS_MAX) {
      this.refuse("labels", `must have at most ${LABELS_MAX} entries`);
      return labels;
    }
    for (const [key, value] of entries) {
      const field = `labels[${JSON.stringify(key)}]`;
      if (!LABEL_KEY.test(key)) {
        this.refuse(field, `the key must be 1 to ${LABEL_KEY_CHARS_MAX} characters of [A-Za-z0-9._/-]`);
      }
      this.text(field, value, LABEL_VALUE_CHARS_MAX);
    }
    return labels;
  }

  integer(field: string, value: number, range: readonly [min: number, max: number]): number {
    return this.number(field, Number.isInteger(value) ? value : NaN, range);
  }

  number(field: string, value: number, [min, max]: readonly [min: number, max: number]): number {
    // Written so that NaN is rejected.
    if (!(value >= min && value <= max)) this.refuse(field, `must be ${inFigures(min)} to ${inFigures(max)}`);
    return value;
  }

  /** A position on a tape: 0 means 1. */
  fromSeq(value: bigint): bigint {
    if (value < 0n) this.refuse("from_seq", "must be 0 or more");
    return value === 0n ? 1n : value;
  }

  /** @returns milliseconds, rounded up so that the requested time is not cut short */
  duration(field: string, value: Duration, [minMs, maxMs]: readonly [minMs: number, maxMs: number]): number {
    const nanos = isDuration(value) ? value.seconds * SECOND_IN_NANOS + BigInt(value.nanos) : null;
    if (nanos === null || nanos < BigInt(minMs) * MS_IN_NANOS || nanos > BigInt(maxMs) * MS_IN_NANOS) {
      this.refuse(field, `must be ${inWords(minMs)} to ${inWords(maxMs)}`);
      return minMs;
    }
    return Number(value.seconds) * 1_000 + Math.ceil(value.nanos / 1_000_000);
  }

  /** @returns the time to the millisecond, rounded up so that it is not too early; null if it was rejected */
  timestamp(field: string, { seconds, nanos }: Timestamp): Date | null {
    const known = seconds >= TIMESTAMP_SECONDS_MIN && seconds <= TIMESTAMP_SECONDS_MAX;
    if (!known || nanos < 0 || nanos > NANOS_MAX) {
      this.refuse(field, "must be a time of the years 1 to 9999, with nanos from 0 to 999,999,999");
      return null;
    }
    return new Date(Number(seconds) * 1_000 + Math.ceil(nanos / 1_000_000));
  }
}

/** Returns the same error with a path before the field of each violation. */
export function violatedWithin(path: string, error: unknown): unknown {
  if (!(error instanceof InvalidArgument)) return error;
  return new InvalidArgument(
    error.violations.map(({ field, description }) => ({ field: `${path}.${field}`, description })),
  );
}

/** Formats a number with thousands separators, as the documentation does. */
export function inFigures(value: number): string {
  return value.toLocaleString("en-US");
}

/** Formats a duration in its largest whole unit. */
export function inWords(ms: number): string {
  const DAY_MS = 24 * 60 * 60 * 1_000;
  if (ms === DAY_MS) return "24 h";
  if (ms > 0 && ms % DAY_MS === 0) return `${inFigures(ms / DAY_MS)} days`;
  if (ms % 1_000 === 0) return `${inFigures(ms / 1_000)} s`;
  return `${inFigures(ms)} ms`;
}

/** Whether a text has more code points than charsMax. Counts them only if the length does not decide it. */
function isLonger(text: string, charsMax: number): boolean {
  if (text.length <= charsMax) return false;
  return text.length > 2 * charsMax || Array.from(text).length > charsMax;
}

/** Whether seconds and nanos are in range and have the same sign, as google.protobuf.Duration requires. */
function isDuration({ seconds, nanos }: Duration): boolean {
  if (seconds < -DURATION_SECONDS_MAX || seconds > DURATION_SECONDS_MAX || Math.abs(nanos) > NANOS_MAX) return false;
  return seconds === 0n || nanos === 0 || seconds < 0n === nanos < 0;
}
