import assert from "node:assert/strict";
import type { SpoolEvent } from "../../src/client/types.ts";
import { EVENT_SORTS, matchesFilter } from "../../src/console/tape/event-filter.ts";
import type { EventSort } from "../../src/console/tape/event-filter.ts";
import { eventLine } from "../../src/console/tape/event-line.ts";
import { LOG_LEVELS } from "../../src/domain/event.ts";

const head = { seq: 1n, time: new Date(0) };
const logs = LOG_LEVELS.map((level): SpoolEvent => ({ ...head, type: "log", level, message: `A ${level} line` }));
const others: SpoolEvent[] = [
  { ...head, type: "started", kind: "echo", attempt: 1 },
  { ...head, type: "progress", phase: "upload", current: 1, total: 2, detail: { file: "Ä.txt" } },
  { ...head, type: "partial", kind: "item", payload: { id: "needle" } },
  { ...head, type: "cancel_requested", reason: "too late" },
  { ...head, type: "retrying", error: { reason: "NOT_YET", message: "wait" }, nextAttemptAt: new Date(0) },
  { ...head, type: "final", status: "failed", error: { reason: "BROKEN", message: "at last" } },
  { ...head, type: "unknown" },
];

describe("the event filter", () => {
  it("matches the events of its sort: logs from a level on, or one other type", () => {
    const counts = { all: 11, logs: 4, info: 3, warn: 2, error: 1, partial: 1, progress: 1, course: 5 };
    assert.deepEqual(Object.keys(counts), Object.keys(EVENT_SORTS));
    for (const [sort, count] of Object.entries(counts)) {
      const found = [...logs, ...others].filter((event) => matchesFilter(event, { sort: sort as EventSort, text: "" }));
      assert.equal(found.length, count, sort);
    }
  });

  it("finds a text in every field of an event, in any case", () => {
    for (const [text, type] of [
      ["a warn LINE", "log"],
      ["ECHO", "started"],
      ["ä.TXT", "progress"],
      ["needle", "partial"],
      ["too late", "cancel_requested"],
      ["not_yet", "retrying"],
      ["broken", "final"],
    ]) {
      const found = [...logs, ...others].filter((event) => matchesFilter(event, { sort: "all", text: text! }));
      assert.deepEqual(
        found.map((event) => event.type),
        [type],
      );
    }
  });
});

describe("the line of an event", () => {
  it("has at most 300 characters and an ellipsis, for any event", () => {
    const message = "x".repeat(10_000);
    assert.equal(eventLine({ ...head, type: "log", level: "INFO", message }).text.length, 301);
    for (const event of [...logs, ...others]) assert.notEqual(eventLine(event).text, "");
  });
});
