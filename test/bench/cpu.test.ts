import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpuFigures } from "../../bench/cpu/figures.ts";
import { treeTimeUs } from "../../bench/cpu/process-time.ts";
import { cpuRowsOf, formatCpuTable } from "../../bench/cpu/rows.ts";
import type { Measure } from "../../bench/measure.ts";
import { resultsOf } from "../../bench/results.ts";

const BURN_US = 300_000;
/** Uses so much CPU, then says so. */
const BURN = `while (process.cpuUsage().user + process.cpuUsage().system < ${BURN_US}); console.log("burnt")`;
/** The counter of a process advances in ticks of 10 ms. */
const TICKS_US = 50_000;

describe("the CPU time of the benchmark", function () {
  this.timeout(60_000);

  it("of a process includes that of its children, while they run and after their end", async () => {
    const kept = spawn(process.execPath, ["-e", `${BURN}; process.stdin.resume()`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(kept.stdout, "data");
    assert.ok(treeTimeUs(kept.pid!) >= BURN_US - TICKS_US);
    // The shell has a child that ends, and then waits itself.
    const shell = spawn("sh", ["-c", '"$0" -e "$1" && echo ended && cat', process.execPath, BURN]);
    let said = "";
    while (!said.includes("ended")) said += (await once(shell.stdout, "data")).join("");
    const after = treeTimeUs(shell.pid!);
    assert.ok(after >= BURN_US - TICKS_US, `${after} µs`);
    assert.ok(treeTimeUs(shell.pid!) >= after);
    for (const child of [kept, shell]) {
      const exit = once(child, "exit");
      child.stdin.end();
      await exit;
    }
    assert.throws(() => treeTimeUs(shell.pid!), /there is no process/);
  });

  it("is a table with a total for each round and the share of each part", () => {
    const figures = cpuFigures("work", { about: "some work" });
    const measure: Measure = {
      name: "cpu",
      about: "",
      figures,
      prepare: () => assert.fail("only its figures are used"),
    };
    const results = resultsOf(
      [measure],
      new Map([
        ["cpu-work-client", [10, 20, 30]],
        ["cpu-work-server", [50, 60, 10]],
        ["cpu-work-database", [100, 110, 120]],
      ]),
    );
    const [row] = cpuRowsOf(results);
    assert.deepEqual(row, {
      of: "work",
      unit: "µs",
      parts: { client: 20, server: 50, database: 110 },
      total: 160,
      rounds: [160, 190, 160],
      shares: { client: 20 / 180, server: 50 / 180, database: 110 / 180 },
    });
    assert.match(formatCpuTable([row!]).split("\n").at(-1)!, /^work +µs +160 +±9 % +20 +11 % +50 +28 % +110 +61 %$/);
  });

  it("of a part that has no share in the work is left out", () => {
    const figures = cpuFigures("work", { about: "some work", without: ["client", "server"] });
    assert.deepEqual(
      figures.map(({ name }) => name),
      ["cpu-work-database"],
    );
  });
});
