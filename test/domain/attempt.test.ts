import assert from "node:assert/strict";
import type { NewEvent } from "../../src/domain/event.ts";
import type { JsonObject, JsonValue } from "../../src/domain/json.ts";
import { TaskError } from "../../src/domain/kind.ts";
import type { TaskContext } from "../../src/domain/kind.ts";
import {
  ERROR_MESSAGE_CHARS_MAX,
  ERROR_REASON_CHARS_MAX,
  EVENT_BYTES_MAX,
  JSON_DEPTH_MAX,
  PARTIAL_KIND_CHARS_MAX,
  PHASE_CHARS_MAX,
  RESULT_BYTES_MAX,
  SERIES_FIELD_CHARS_MAX,
  SERIES_NAME_CHARS_MAX,
} from "../../src/domain/limits.ts";
import type { Task } from "../../src/domain/task.ts";
import { AttemptStopped, validateParams, runAttempt } from "../../src/domain/attempt.ts";
import { TapeWriter } from "../../src/engine/write/tape-writer.ts";
import { kindOf, untilStopped } from "../support/engine-tasks.ts";
import { ODD_THROWS } from "../support/odd-throws.ts";

const FENCE = {
  taskId: "019a0000-0000-7000-8000-000000000000",
  lease: "019a0000-0000-7000-8000-000000000001",
  attempt: 1,
};
const TASK = { taskId: FENCE.taskId, attempt: 1, params: { a: 1 } } as unknown as Task;

/** Runs code as an attempt whose tape is not stored. */
async function attempt(
  run: (task: TaskContext, writer: TapeWriter) => Promise<JsonObject | void>,
  signal = new AbortController().signal,
) {
  const writer = new TapeWriter(FENCE, { onEvents: () => {}, onLost: () => {} });
  const thrown: unknown[] = [];
  const kind = kindOf("test", (task) => run(task, writer));
  const parts = { kind, task: TASK, sink: writer, lastCheckpoint: () => Promise.resolve(null), traceparent: null };
  const outcome = await runAttempt(parts, signal, (error) => thrown.push(error));
  const events: readonly NewEvent[] = writer.take().events;
  return { outcome, thrown, events };
}

/** The fields for which an emit is rejected; none if the event is accepted. */
async function refused(emit: (task: TaskContext) => Promise<void>): Promise<string[]> {
  let fields: string[] = [];
  const { events } = await attempt(async (task) => {
    await emit(task).catch((error: { reason: string; violations: { field: string }[] }) => {
      assert.equal(error.reason, "INVALID_ARGUMENT");
      fields = error.violations.map(({ field }) => field);
    });
  });
  assert.equal(events.length, fields.length === 0 ? 1 : 0);
  return fields;
}

async function failure(error: unknown) {
  const { outcome } = await attempt(() => Promise.reject(error));
  assert.ok(outcome.type === "threw" && outcome.because === null);
  return outcome.failure;
}

const wrong = (value: unknown) => value as never;
const nested = (depth: number): JsonValue => (depth === 0 ? {} : { a: nested(depth - 1) });

describe("an event that an attempt emits", () => {
  it("may have its log level in either case, and records it in upper case", async () => {
    const { events } = await attempt(async (task) => {
      for (const level of ["warn", "WARN", "debug", "info", "error"] as const) await task.log(level, "text");
    });
    const levels = events.map(({ body }) => (JSON.parse(body) as { level: string }).level);
    assert.deepEqual(levels, ["WARN", "WARN", "DEBUG", "INFO", "ERROR"]);
  });

  it("records the series of a partial, with the field of its text", async () => {
    const { events } = await attempt(async (task) => {
      await task.partial("delta", { text: "a" }, { series: { name: "answer", mode: "append" } });
      await task.partial("delta", { t: "" }, { series: { name: "answer", mode: "append", field: "t" } });
      await task.partial("state", { step: 1 }, { series: { name: "s", mode: "latest", field: "" } });
      await task.partial("found", {}, { series: { name: "s", mode: "all" } });
    });
    assert.deepEqual(
      events.map(({ body }) => (JSON.parse(body) as { series: unknown }).series),
      [
        { name: "answer", mode: "append", field: "text" },
        { name: "answer", mode: "append", field: "t" },
        { name: "s", mode: "latest" },
        { name: "s", mode: "all" },
      ],
    );
  });

  it("is rejected if its series is invalid, with the field that is wrong", async () => {
    const longest = { name: "n".repeat(SERIES_NAME_CHARS_MAX), field: "f".repeat(SERIES_FIELD_CHARS_MAX) };
    const cases: [JsonObject, unknown, string[]][] = [
      [{ [longest.field]: "" }, { ...longest, mode: "append" }, []],
      [{ text: "a" }, { name: `${longest.name}n`, mode: "append" }, ["partial.series.name"]],
      [{ text: "a" }, { name: "", mode: "latest" }, ["partial.series.name"]],
      [{ text: "a" }, { mode: "all" }, ["partial.series.name"]],
      [{ text: "a" }, { name: "\ud800", mode: "all" }, ["partial.series.name"]],
      [{ text: "a" }, { name: "a", mode: "join" }, ["partial.series.mode"]],
      [{ text: "a" }, { name: "a" }, ["partial.series.mode"]],
      [{ text: "a" }, { name: "a", mode: "latest", field: "text" }, ["partial.series.field"]],
      [{ text: "a" }, { name: "a", mode: "append", field: `${longest.field}f` }, ["partial.series.field"]],
      [{ text: "a" }, { name: "a", mode: "append", field: 7 }, ["partial.series.field"]],
      [{ text: 1 }, { name: "a", mode: "append" }, ["partial.payload.text"]],
      [{}, { name: "a", mode: "append", field: "toString" }, ["partial.payload.toString"]],
      [{}, { name: "a", mode: "append", field: "__proto__" }, ["partial.payload.__proto__"]],
      [{}, "answer", ["partial.series"]],
      [{}, null, ["partial.series"]],
    ];
    for (const [payload, series, fields] of cases) {
      assert.deepEqual(await refused((task) => task.partial("k", payload, { series: wrong(series) })), fields);
    }
  });

  it("holds exactly what JSON and protobuf can carry", async () => {
    const values: [JsonValue, string[]][] = [
      [wrong(NaN), ["partial.payload.a.x"]],
      [wrong(Infinity), ["partial.payload.a.x"]],
      [wrong(1n), ["partial.payload.a.x"]],
      [wrong(undefined), ["partial.payload.a.x"]],
      [wrong(new Date(0)), ["partial.payload.a.x"]],
      [wrong(() => {}), ["partial.payload.a.x"]],
      ["\ud800", ["partial.payload.a.x"]],
      [[1, wrong(NaN)], ["partial.payload.a.x[1]"]],
      ["\0 and 😀", []],
      [-0, []],
      [Number.MAX_VALUE, []],
    ];
    for (const [x, fields] of values)
      assert.deepEqual(await refused((task) => task.partial("k", { a: { x } })), fields);
    assert.deepEqual(await refused((task) => task.partial("k", { a: { ["\udc00"]: 1 } })), [
      "partial.payload.a.\udc00",
    ]);
    for (const payload of [[], null, "text", 1]) {
      assert.deepEqual(await refused((task) => task.partial("k", wrong(payload))), ["partial.payload"]);
      assert.deepEqual(await refused((task) => task.progress("p", 0, 0, wrong(payload))), ["progress.detail"]);
    }
  });

  it("is bounded in depth", async () => {
    // The body of the event is the first object, the payload the second.
    assert.deepEqual(await refused((task) => task.partial("k", nested(JSON_DEPTH_MAX - 2) as JsonObject)), []);
    assert.equal((await refused((task) => task.partial("k", nested(JSON_DEPTH_MAX - 1) as JsonObject))).length, 1);
    const circle: { self?: unknown } = {};
    circle.self = circle;
    assert.equal((await refused((task) => task.partial("k", wrong(circle)))).length, 1);
  });

  it("is bounded in bytes, as JSON text and as protobuf", async () => {
    const text = (bytes: number) =>
      "x".repeat(bytes - Buffer.byteLength(JSON.stringify({ level: "INFO", message: "" })));
    for (const [bytes, fields] of [
      [EVENT_BYTES_MAX - 16, []],
      [EVENT_BYTES_MAX + 1, ["log"]],
    ] as const) {
      assert.deepEqual(await refused((task) => task.log("INFO", text(bytes))), fields);
    }
    const controls = "\x01".repeat(Math.ceil(EVENT_BYTES_MAX / 6)); // Small as protobuf, too large as text.
    assert.deepEqual(await refused((task) => task.log("INFO", controls)), ["log"]);
    const numbers = Array<number>(Math.ceil(EVENT_BYTES_MAX / 10)).fill(1); // Small as text, too large as protobuf.
    assert.deepEqual(await refused((task) => task.partial("k", { numbers })), ["partial"]);
  });

  it("counts in integers from 0 to 2^53 - 1", async () => {
    for (const count of [0, 1, Number.MAX_SAFE_INTEGER]) {
      assert.deepEqual(await refused((task) => task.progress("p", count, count)), []);
    }
    for (const count of [-1, 0.5, NaN, Infinity, 2 ** 53, "1", null]) {
      assert.deepEqual(await refused((task) => task.progress("p", wrong(count))), ["progress.current"]);
      assert.deepEqual(await refused((task) => task.progress("p", 0, wrong(count))), ["progress.total"]);
    }
  });

  it("names phases and partials in 1 to 128 characters, and has one of four levels", async () => {
    for (const [chars, isRefused] of [
      [0, true],
      [1, false],
      [128, false],
      [129, true],
    ] as const) {
      assert.deepEqual(await refused((task) => task.progress("p".repeat(chars))), isRefused ? ["progress.phase"] : []);
      assert.deepEqual(await refused((task) => task.partial("k".repeat(chars), {})), isRefused ? ["partial.kind"] : []);
    }
    assert.deepEqual([PHASE_CHARS_MAX, PARTIAL_KIND_CHARS_MAX], [128, 128]);
    assert.deepEqual(await refused((task) => task.log(wrong("Info"), "text")), ["log.level"]);
    assert.deepEqual(await refused((task) => task.log(wrong("fatal"), "text")), ["log.level"]);
    for (const message of [1, null, undefined, {}, new Error("no text")]) {
      assert.deepEqual(await refused((task) => task.log("INFO", wrong(message))), ["log.message"]);
    }
  });

  it("does not change if the code changes its objects afterwards", async () => {
    const { events } = await attempt(async (task) => {
      const payload = { list: [1] };
      await task.partial("k", payload);
      payload.list.push(2);
    });
    assert.deepEqual(JSON.parse(events[0]!.body), { kind: "k", payload: { list: [1] } });
  });

  it("may be emitted without await: an unobserved rejection has no effect", async () => {
    const { outcome, events } = await attempt(async (task, writer) => {
      void task.progress("p", -1);
      void task.log("INFO", "\ud800");
      void task.partial("", {});
      writer.revoke();
      void task.progress("p", 1);
      void task.log("INFO", "late");
      void task.partial("k", {});
      void task.flush();
      // Unhandled rejections are reported after the microtasks.
      await new Promise((resolve) => setImmediate(resolve));
    });
    assert.deepEqual([outcome, events], [{ type: "returned", result: {} }, []]);
  });
});

describe("the outcome of an attempt", () => {
  it("is a result, an object of at most 3 MiB", async () => {
    const ended = async (result: unknown) => (await attempt(() => Promise.resolve(wrong(result)))).outcome;
    assert.deepEqual(await ended(undefined), { type: "returned", result: {} });
    assert.deepEqual(await ended({ a: "\0" }), { type: "returned", result: { a: "\0" } });
    const text = (bytes: number) => ({ a: "x".repeat(bytes) });
    const overhead = 64;
    assert.equal((await ended(text(RESULT_BYTES_MAX - overhead))).type, "returned");
    for (const result of [text(RESULT_BYTES_MAX), [], "text", 1, { a: undefined }, { a: new Map() }, { a: 1n }]) {
      const outcome = await ended(result);
      assert.ok(outcome.type === "threw" && outcome.failure.reason === "KIND_FAILED", outcome.type);
      assert.match(outcome.failure.message, /^result/);
    }
  });

  it("has the message of the thrown value, whatever was thrown", async () => {
    const texts = [new Error("text"), "text", { toString: () => "text" }];
    for (const error of texts) assert.deepEqual(await failure(error), { reason: "KIND_FAILED", message: "text" });
    const wordless = Object.assign(new Error(), { message: { a: 1 } });
    const failing = Object.defineProperty(new Error(), "message", { get: () => assert.fail() });
    const objects = [Object.create(null), { toString: () => 7 }, { toString: () => assert.fail() }];
    const nameless: unknown[] = [null, undefined, 7, Symbol("s"), wordless, failing, ...objects];
    for (const error of nameless) {
      const { reason, message } = await failure(error);
      assert.deepEqual([reason, typeof message], ["KIND_FAILED", "string"]);
    }
  });

  it("has no stack, and a message of at most the tape's limit", async () => {
    const error = new Error("m".repeat(ERROR_MESSAGE_CHARS_MAX + 1));
    assert.equal((await failure(error)).message, "m".repeat(ERROR_MESSAGE_CHARS_MAX));
    const cut = "m".repeat(ERROR_MESSAGE_CHARS_MAX - 1) + "😀";
    assert.ok((await failure(new Error(cut))).message.isWellFormed());
    assert.equal((await failure(new Error("a \ud800"))).message, "a \ufffd");
    assert.doesNotMatch(JSON.stringify(await failure(new TypeError("short"))), /attempt\.test|at /);
  });

  it("has the kind's own reason if it is valid", async () => {
    const reasons = ["A", "NOT_YET", "A".repeat(ERROR_REASON_CHARS_MAX)];
    for (const reason of reasons) assert.equal((await failure(new TaskError(reason, ""))).reason, reason);
    for (const reason of ["", "not_yet", "1A", "A B", "A".repeat(ERROR_REASON_CHARS_MAX + 1), wrong(undefined)]) {
      assert.equal((await failure(new TaskError(reason, ""))).reason, "KIND_FAILED");
    }
  });

  it("has the kind's own details if a tape can carry them", async () => {
    assert.deepEqual((await failure(new TaskError("A", "m", { details: { a: [1] } }))).details, { a: [1] });
    for (const details of [{ a: NaN }, null, [], { a: "x".repeat(EVENT_BYTES_MAX) }]) {
      const { message, ...rest } = await failure(new TaskError("A", "m", { details: wrong(details) }));
      assert.deepEqual(rest, { reason: "A" });
      assert.match(message, /^m /);
    }
  });

  it("has a valid reason, whatever the kind throws while it validates params", async () => {
    for (const { name, make, reason = "KIND_FAILED" } of ODD_THROWS) {
      const refuse = () => {
        throw make();
      };
      const kind = { ...kindOf("odd", () => Promise.resolve()), parseParams: refuse };
      const validation = validateParams(kind, {});
      assert.deepEqual([name, "failure" in validation && validation.failure.reason], [name, reason]);
      const parts = { kind, task: TASK, sink: null!, lastCheckpoint: () => Promise.resolve(null), traceparent: null };
      const outcome = await runAttempt(parts, new AbortController().signal, refuse);
      assert.deepEqual([name, outcome.type === "threw" && outcome.failure.reason], [name, reason]);
    }
  });

  it("names why the attempt was stopped, and is not logged as a failure", async () => {
    for (const because of ["cancel", "deadline", "shutdown", "lost"] as const) {
      const controller = new AbortController();
      const running = attempt(({ signal }) => untilStopped(signal), controller.signal);
      controller.abort(new AttemptStopped(because));
      const { outcome, thrown } = await running;
      assert.deepEqual(outcome.type === "threw" && outcome.because, because);
      assert.deepEqual(thrown, []);
    }
    const error = new Error("its own");
    assert.deepEqual((await attempt(() => Promise.reject(error))).thrown, [error]);
  });
});
