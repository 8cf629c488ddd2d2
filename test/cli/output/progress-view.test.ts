import assert from "node:assert/strict";
import stringWidth from "string-width";
import type { SpoolEvent, TaskStatus } from "../../../src/client/client.ts";
import { escapeJson, escapeText } from "../../../src/cli/output/escape-text.ts";
import { describeEvent } from "../../../src/cli/output/event-lines.ts";
import type { Colorize } from "../../../src/cli/output/colorize.ts";
import { advance, barLines, newProgressView } from "../../../src/cli/output/progress-view.ts";
import { fitText, padText } from "../../../src/cli/output/text-width.ts";

const plain: Colorize = (_, text) => text;
const marked: Colorize = (color, text) => `<${color}>${text}</>`;
const time = new Date(0);
const size = { columns: 60, rows: 24 };

let seq = 0n;
const progress = (phase: string, current: number, total: number): SpoolEvent => {
  return { seq: ++seq, time, type: "progress", phase, current, total };
};
const started = (attempt: number): SpoolEvent => ({ seq: ++seq, time, type: "started", kind: "k", attempt });

function bars(events: SpoolEvent[], { at = size, colorize = plain, status = "running" as TaskStatus } = {}): string[] {
  const view = newProgressView();
  advance(view, { events, status });
  return barLines(view, at, colorize);
}

describe("the bars", () => {
  it("are one for each phase, in order of first appearance", () => {
    const events = [progress("scan", 1, 4), progress("index", 0, 10), progress("scan", 2, 4)];
    assert.deepEqual(bars(events), [
      `scan  ${"█".repeat(20)}${"░".repeat(20)} 2/4 50%`,
      `index ${"░".repeat(40)} 0/10 0%`,
    ]);
  });

  it("show the count alone if the total is unknown", () => {
    assert.deepEqual(bars([progress("found", 12, 0)]), [`found ${" ".repeat(40)} 12`]);
  });

  it("are full and green only when the phase is done", () => {
    assert.deepEqual(bars([progress("p", 999, 1_000)]), [`p ${"█".repeat(39)}░ 999/1000 99%`]);
    assert.deepEqual(bars([progress("p", 5, 5)], { colorize: marked }), [`p <green>${"█".repeat(40)}</> 5/5 100%`]);
    assert.deepEqual(bars([progress("p", 7, 5)]), [`p ${"█".repeat(40)} 7/5 100%`]);
  });

  it("stay on one line each, at any width and with any names", () => {
    const events = [
      progress("x".repeat(128), 2 ** 53 - 1, 2 ** 53 - 1),
      progress("走る".repeat(40), 1, 2),
      progress("é🧵", 1, 2),
    ];
    for (let columns = 4; columns < 120; columns++) {
      for (const line of bars(events, { at: { columns, rows: 24 } })) {
        assert.ok(stringWidth(line) < columns, `${stringWidth(line)} of ${columns}: ${line}`);
      }
    }
  });

  it("are the most recently updated ones if the rows do not suffice", () => {
    const events = ["a", "b", "c", "d"].map((phase) => progress(phase, 1, 2));
    const lines = bars([...events, progress("a", 2, 2)], { at: { columns: 60, rows: 5 } });
    assert.deepEqual(
      lines.map((line) => line[0]),
      ["a", "d"],
    );
  });

  it("are kept for at most 100 phases", () => {
    const events = Array.from({ length: 101 }, (_, index) => progress(`p${index}`, 1, 2));
    const lines = bars(events, { at: { columns: 60, rows: 1_000 } });
    assert.equal(lines.length, 100);
    assert.match(lines[0]!, /^p1 /);
  });

  it("are cleared by a new attempt", () => {
    assert.deepEqual(bars([started(1), progress("a", 1, 2), started(2)]), []);
  });

  it("show that a task waits to run", () => {
    assert.deepEqual(bars([], { status: "pending" }), ["waiting to run"]);
    assert.deepEqual(bars([], { status: "running" }), []);
  });

  it("show the escape sequences in a phase escaped", () => {
    assert.match(bars([progress("\u001b[2J\n", 1, 2)])[0]!, /^\\u001b\[2J\\n █/);
  });
});

describe("describeEvent", () => {
  const failure = { reason: "NO_DISK", message: "full", details: { free: 0 } };

  for (const [event, line] of [
    [{ type: "log", level: "DEBUG", message: "m" }, "<dim>DEBUG m</>"],
    [{ type: "log", level: "INFO", message: "m" }, "INFO m"],
    [{ type: "log", level: "WARN", message: "m" }, "<yellow>WARN m</>"],
    [{ type: "log", level: "ERROR", message: "m" }, "<red>ERROR m</>"],
    [{ type: "cancel_requested", reason: "because" }, "<yellow>cancel requested: because</>"],
    [
      { type: "retrying", error: failure, nextAttemptAt: time },
      '<yellow>retrying at 1970-01-01T00:00:00.000Z after NO_DISK: full {"free":0}</>',
    ],
    [{ type: "final", status: "succeeded", result: {} }, "<green>succeeded</>"],
    [{ type: "final", status: "failed", error: failure }, '<red>failed NO_DISK: full {"free":0}</>'],
    [
      { type: "final", status: "cancelled", error: { reason: "CANCELLED", message: "" } },
      "<yellow>cancelled CANCELLED</>",
    ],
    [{ type: "unknown" }, null],
  ] as const) {
    it(`returns ${line ?? "null for an unknown event type"}`, () => {
      assert.equal(describeEvent({ seq: 1n, time, ...event }, marked), line);
    });
  }

  it("truncates a large payload", () => {
    const line = describeEvent(
      { seq: 1n, time, type: "partial", kind: "k", payload: { a: "x".repeat(9_000) } },
      plain,
    )!;
    assert.ok(line.length < 600);
    assert.ok(line.endsWith("x…"));
  });
});

describe("a text on the terminal", () => {
  it("has every control and direction character escaped", () => {
    assert.equal(
      escapeText("a\u0000\u001b\u007f\u009b\n\r\t\u2028\u202e\u2066b"),
      "a\\u0000\\u001b\\u007f\\u009b\\n\\r\\t\\u2028\\u202e\\u2066b",
    );
  });

  it("is otherwise unchanged", () => assert.equal(escapeText("é 走 🧵 👩‍💻 \\n"), "é 走 🧵 👩‍💻 \\n"));

  it("has lone surrogates replaced", () => assert.equal(escapeText("\ud800"), "\ufffd"));

  it("of JSON keeps its value and its indentation", () => {
    const value = { a: "\u009b\u2028\u202e\u007f" };
    const json = escapeJson(JSON.stringify(value, null, 2));
    assert.match(json, /^\{\n {2}"a": "\\u009b\\u2028\\u202e\\u007f"\n\}$/);
    assert.deepEqual(JSON.parse(json), value);
  });

  it("is truncated and padded by columns", () => {
    assert.deepEqual([fitText("走走走", 5), fitText("走走", 4), fitText("abc", 2)], ["走走…", "走走", "a…"]);
    assert.deepEqual([padText("走", 4), padText("a\u0301", 4), padText("🧵", 4)], ["走  ", "a\u0301   ", "🧵  "]);
    assert.equal(fitText("👩‍💻👩‍💻👩‍💻", 5), "👩‍💻👩‍💻…");
  });
});
