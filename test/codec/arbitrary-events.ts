import * as fc from "fast-check";
import { LOG_LEVELS } from "../../src/domain/event.ts";
import type { EventBodies, EventType, TapeEvent } from "../../src/domain/event.ts";

/** Any text, at all lengths around those where a length takes another byte, often with special characters. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("", "\0", "naïve", "😀", "x".repeat(48), "x".repeat(49), "é".repeat(24), "x".repeat(127)),
);

const key = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toString", "1", "0"));

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom("-0", "0", "9007199254740991", "-9007199254740991", "1e308", "5e-324", "0.1"),
);

/** JSON text as code emits it and as a `json` column stores it: with -0 and `__proto__`, which objects in code lose. */
const { jsonObject } = fc.letrec<{ json: string; jsonObject: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom("null", "true", "false", "{}", "[]", '""'),
    number.map(String),
    text.map((value) => JSON.stringify(value)),
    fc.array(tie("json"), { maxLength: 6 }).map((items) => `[${items.join(",")}]`),
    tie("jsonObject"),
  ),
  jsonObject: fc
    .array(fc.tuple(key, tie("json")), { maxLength: 6 })
    .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`),
}));

/** JSON text of an object with JSON texts as members, of which some may be missing. */
function object(members: Record<string, fc.Arbitrary<string>>, required: readonly string[]): fc.Arbitrary<string> {
  return fc.record(members, { requiredKeys: [...required] }).map(
    (present) =>
      `{${Object.entries(present)
        .map(([name, value]) => `"${name}":${value}`)
        .join(",")}}`,
  );
}

const quoted = text.map((value) => JSON.stringify(value));
const count = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1)).map(String);
const time = fc.date({ min: new Date(-1e12), max: new Date("9999-01-01"), noInvalidDate: true });
const failure = object({ reason: quoted, message: quoted, details: jsonObject }, ["reason", "message"]);

const appended = object({ name: quoted, mode: fc.constant('"append"'), field: fc.constant('"text"') }, [
  "name",
  "mode",
  "field",
]);
const replaced = object({ name: quoted, mode: fc.constantFrom('"latest"', '"all"') }, ["name", "mode"]);
const series = fc.oneof(appended, replaced);
const recordedSeq = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map((number) => `"${number}"`);
const inAppended = object({ kind: quoted, payload: jsonObject, series: appended }, ["kind", "payload", "series"]);
const inReplaced = object({ kind: quoted, payload: jsonObject, series: replaced }, ["kind", "payload", "series"]);
const covers = { count, first_seq: recordedSeq, last_seq: recordedSeq };
const foldedPart = fc.oneof(
  object({ partial: inAppended, text: quoted, ...covers }, ["partial", "text", ...Object.keys(covers)]),
  object({ partial: inReplaced, ...covers }, ["partial", ...Object.keys(covers)]),
);
const list = (item: fc.Arbitrary<string>) => fc.array(item, { maxLength: 3 }).map((items) => `[${items.join(",")}]`);

const BODIES: { [Type in keyof EventBodies]: fc.Arbitrary<string> } = {
  started: object({ kind: quoted, attempt: fc.nat().map(String) }, ["kind", "attempt"]),
  progress: object({ phase: quoted, current: count, total: count, detail: jsonObject }, ["phase", "current", "total"]),
  log: object({ level: fc.constantFrom(...LOG_LEVELS.map((level) => `"${level}"`)), message: quoted }, [
    "level",
    "message",
  ]),
  partial: object({ kind: quoted, payload: jsonObject, series }, ["kind", "payload"]),
  folded: object({ first_seq: recordedSeq, parts: list(foldedPart) }, ["first_seq", "parts"]),
  cancel_requested: object({ reason: quoted, cancelled_by: quoted }, ["reason"]),
  retrying: object({ error: failure, next_attempt_at: time.map((date) => JSON.stringify(date)) }, [
    "error",
    "next_attempt_at",
  ]),
  final: fc.oneof(
    object({ status: fc.constant('"succeeded"'), result: jsonObject }, ["status"]),
    object({ status: fc.constantFrom('"failed"', '"cancelled"'), error: failure }, ["status", "error"]),
  ),
};

export const seq = fc.oneof(
  fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
  fc.constantFrom(1n, 127n, 128n, 2n ** 31n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n),
);

/** An event of any type with any content. */
export const tapeEvent = eventOf(Object.keys(BODIES) as EventType[]);

/** The same, as a tape has it recorded: none of the folded view. */
export const recordedEvent = eventOf((Object.keys(BODIES) as EventType[]).filter((type) => type !== "folded"));

function eventOf(types: readonly EventType[]): fc.Arbitrary<TapeEvent> {
  return fc.oneof(...types.map((type) => fc.record({ seq, time, type: fc.constant(type), body: BODIES[type] })));
}
