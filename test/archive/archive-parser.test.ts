import assert from "node:assert/strict";
import { ArchiveError, TruncatedArchive } from "../../src/archive/archive-error.ts";
import { ArchiveParser } from "../../src/archive/archive-parser.ts";
import { newEvent } from "../../src/domain/event.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import { endedTask, fileOf } from "./arbitrary-tasks.ts";

const FILE = "tasks.jsonl";
const time = new Date("2027-01-01T00:00:00Z");
const LOG: TapeEvent = { seq: 0n, time, ...newEvent("log", { level: "INFO", message: "a line" }) };

/** The lines of a file with one task: header, task, two logs, final, end, footer. */
const LINES = fileOf([endedTask(1, [LOG, LOG])]).map((line) => line.trimEnd());

function parse(lines: readonly string[]): ArchiveParser {
  const parser = new ArchiveParser(FILE);
  for (const line of lines) parser.parse(line);
  parser.finish();
  return parser;
}

/** Replaces text in the line with a number from 1. */
function changed(number: number, from: string | RegExp, to: string): string[] {
  const lines = [...LINES];
  lines[number - 1] = LINES[number - 1]!.replace(from, to);
  assert.notEqual(lines[number - 1], LINES[number - 1]);
  return lines;
}

describe("ArchiveParser", () => {
  it("counts the tasks and events of a sound file", () => {
    assert.deepEqual(parse(LINES).counts, { tasks: 1, events: 3 });
  });

  for (const [what, lines, message] of [
    ["no header", LINES.slice(1), /^tasks\.jsonl:1: the first line must be a header$/],
    ["another format", changed(1, "spool-export", "other"), /^tasks\.jsonl:1: header\.format must be spool-export/],
    ["a later version", changed(1, '"version":1', '"version":2'), /:1: header\.version is 2; .* version 1$/],
    ["a line that is no JSON", changed(3, "{", ""), /^tasks\.jsonl:3: must be JSON: /],
    ["a line of an unknown sort", changed(3, "event", "evnt"), /:3: unknown sort of line "evnt"$/],
    ["an unknown field", changed(3, "message", "massage"), /:3: .*massage/],
    ["a changed event", changed(3, "a line", "a lime"), /:6: task 0190\S+ has digest \w+, not \w+$/],
    ["a changed task", changed(2, "search", "shop"), /:6: task 0190\S+ has digest/],
    ["changed params", changed(2, '"number":1', '"number":2'), /:2: task\.paramsDigest is not the digest/],
    ["a task that runs", changed(2, "SUCCEEDED", "RUNNING"), /:2: task\.status is running/],
    ["another status than final", changed(2, "SUCCEEDED", "FAILED"), /:6: final has status succeeded, .* failed$/],
    ["a missing event", LINES.toSpliced(2, 1), /:3: event\.seq is 2, not 1$/],
    ["a repeated event", LINES.toSpliced(2, 0, LINES[2]!), /:4: event\.seq is 1, not 2$/],
    ["an event after final", LINES.toSpliced(5, 0, LINES[3]!.replace('"2"', '"4"')), /:6: event 4 is after final$/],
    ["no final", LINES.toSpliced(4, 1), /:5: end\.events is 3, but 2 events came$/],
    ["no end", LINES.toSpliced(5, 1), /:6: task 0190\S+ has no end before the footer$/],
    ["an end of another task", changed(6, "0001", "0002"), /:6: end\.taskId is 0190\S+, not 0190/],
    ["a missing task", [LINES[0]!, LINES[6]!], /:2: footer: 1 tasks and 3 events, but 0 and 0 came$/],
    ["a line after the footer", [...LINES, LINES[1]!], /:8: the line is after the footer$/],
    ["two members in a line", changed(3, /\}$/, ',"end":{}}'), /:3: the line must have exactly one member$/],
  ] as const) {
    it(`refuses a file with ${what}, and names the line`, () => {
      assert.throws(
        () => parse(lines),
        (error) => error instanceof ArchiveError && message.test(error.message),
      );
    });
  }

  it("accepts members in any order and white space", () => {
    const event = (JSON.parse(LINES[2]!) as { event: object }).event;
    const reversed = Object.fromEntries(Object.entries(event).toReversed());
    parse(LINES.toSpliced(2, 1, `  { "event" : ${JSON.stringify(reversed)} }`));
  });

  it("ignores a task that was discarded", () => {
    const discarded = [LINES[1]!, LINES[2]!, LINES[5]!.replace("end", "discard")];
    assert.deepEqual(parse(LINES.toSpliced(1, 0, ...discarded)).counts, { tasks: 1, events: 3 });
  });

  for (const [what, lines, message] of [
    ["between tasks", LINES.slice(0, 6), /^tasks\.jsonl:6: ends without a footer/],
    ["within a task", LINES.slice(0, 4), /^tasks\.jsonl:4: ends within task 0190/],
  ] as const) {
    it(`reports a file that ends ${what} as interrupted`, () => {
      assert.throws(
        () => parse(lines),
        (error) => error instanceof TruncatedArchive && message.test(error.message),
      );
    });
  }
});
