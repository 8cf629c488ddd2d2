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

describe("the watch of a worker's process", () => {
  for (const [ending, status, message] of [
    ["timer", 1, "timer"],
    ["rejection", 1, "rejection"],
    ["exit", 3, null],
  ] as const) {
    it(`tells once, by its attempt, of a process that ends by the code of a task, and lets it end: ${ending}`, () => {
      assert.deepEqual(run(ending, "inside"), { status, told: [["t", "k", 2, message]] });
      assert.deepEqual(run(ending, "outside"), { status, told: [] });
    }).timeout(60_000);
  }
});
