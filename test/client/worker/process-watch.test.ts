import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const CHILD = join(import.meta.dirname, "..", "..", "support", "watched-process.ts");

function run(ending: string, place: "inside" | "outside") {
  const { status, stdout } = spawnSync(process.execPath, [CHILD, ending, place], { encoding: "utf8" });
  return {
    status,
    told: stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as unknown),
  };
}

describe("watchProcess", () => {
  for (const [ending, status, message] of [
    ["timer", 1, "timer"],
    ["rejection", 1, "rejection"],
    ["exit", 3, null],
  ] as const) {
    it(`reports once, with its attempt, that the code of a task ends the process, and lets it end: ${ending}`, () => {
      assert.deepEqual(run(ending, "inside"), { status, told: [["t", "k", 2, message]] });
      assert.deepEqual(run(ending, "outside"), { status, told: [] });
    }).timeout(60_000);
  }
});
