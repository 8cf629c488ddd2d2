import assert from "node:assert/strict";
import { ageText, durationText } from "../../../src/cli/output/duration-text.ts";

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];

describe("a duration", () => {
  for (const [ms, text] of [
    [-1, "0ms"],
    [0, "0ms"],
    [999.9, "999ms"],
    [SECOND, "1.0s"],
    [MINUTE - 1, "59.9s"],
    [MINUTE, "1m"],
    [HOUR - 1, "59m 59s"],
    [DAY - 1, "23h 59m"],
    [DAY, "1d"],
    [365 * DAY - 1, "364d 23h"],
  ] as const) {
    it(`of ${ms} ms is ${text}`, () => assert.equal(durationText(ms), text));
  }
});

describe("an age", () => {
  for (const [ms, text] of [
    [-1, "0s"],
    [MINUTE - 1, "59s"],
    [HOUR - 1, "59m"],
    [DAY - 1, "23h"],
    [DAY, "1d"],
  ] as const) {
    it(`of ${ms} ms is ${text}`, () => assert.equal(ageText(ms), text));
  }
});
