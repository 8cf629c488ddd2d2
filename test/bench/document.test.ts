import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareDocuments } from "../../bench/compare.ts";
import { cpuFigures } from "../../bench/cpu/figures.ts";
import { documentOf, readDocument, writeDocument } from "../../bench/document.ts";
import type { Document } from "../../bench/document.ts";
import { describeMachine } from "../../bench/machine.ts";
import type { Measure } from "../../bench/measure.ts";
import { parseOptions } from "../../bench/options.ts";
import { reportOf } from "../../bench/report.ts";
import { resultsOf } from "../../bench/results.ts";

const MEASURE: Measure = {
  name: "work",
  about: "some work",
  figures: [
    { name: "ceiling", unit: "calls/s", about: "the ceiling" },
    { name: "work", unit: "tasks/s", about: "some work", comparisons: [{ with: "ceiling", bar: { atLeast: 0.5 } }] },
    ...cpuFigures("work", { about: "some work", without: ["client"] }),
  ],
  prepare: () => assert.fail("only its figures are used"),
};

describe("a document of the benchmark", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-bench-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("is read as it was written, without paths of the machine, and with null for what is not a number", async () => {
    const document = documentFor({ work: [100, 200, Number.NaN], database: 40 });
    const file = join(folder, "written.json");
    writeDocument(file, document);
    assert.match(await readFile(file, "utf8"), /\bnull\b/);
    assert.deepEqual(readDocument(file), document);
    assert.deepEqual(document.failures, [{ measure: "other", round: 1, error: "Error: it broke" }]);
    assert.deepEqual(document.cpu[0]!.shares, { server: 0.2, database: 0.8 });
  });

  it("is refused if it is something else, with the place of what is wrong", async () => {
    const file = join(folder, "other.json");
    await writeFile(file, JSON.stringify({ ...documentFor({ work: [1], database: 1 }), version: 2 }));
    assert.throws(() => readDocument(file), /other\.json is no document of npm run bench -- --report: version: /);
    await writeFile(file, "no JSON");
    assert.throws(() => readDocument(file), /is no document/);
  });

  it("is set beside another one: figures, ratios within each run, and CPU times with their shares", () => {
    const text = compareDocuments(
      documentFor({ work: [100, 300], database: 40 }),
      documentFor({ work: [50], database: 90 }),
    );
    const line = (start: RegExp) => text.split("\n").find((one) => start.test(one));
    assert.match(line(/^work +tasks/)!, /^work +tasks\/s +200 +±50 % +50 +4$/);
    assert.match(line(/^ {2}\/ ceiling/)!, /^ {2}\/ ceiling +ratio +0\.2 +0\.05 +4$/);
    assert.match(line(/^work +µs/)!, /^work +µs +50 +±0 % +100 +0\.5 +0 % \/ 20 % \/ 80 % +0 % \/ 10 % \/ 90 %$/);
    assert.match(text, /^A: .*\n.*\n.*\n.*; shards 1, Postgres 1, Spool servers 1; measures: cpu$/m);
  });
});

describe("the options of the benchmark", () => {
  it("give the service as many Postgres servers as shards, and clients elsewhere as many servers", () => {
    assert.deepEqual(parseOptions(["--shards", "3"]).size, { shards: 3, postgres: 3, servers: 1 });
    const { size } = parseOptions(["--shards", "3", "--postgres", "2", "--clients-elsewhere"]);
    assert.deepEqual(size, { shards: 3, postgres: 2, servers: 3 });
  });

  it("are refused if they cannot be used together", () => {
    assert.throws(() => parseOptions(["--shards", "1", "--postgres", "2"]), /at most the number of --shards/);
    assert.throws(() => parseOptions(["--shards", "0"]), /--shards takes a whole number from 1/);
    assert.throws(() => parseOptions(["--clients-elsewhere", "cpu"]), /goes with no measure/);
    assert.throws(() => parseOptions(["--listen", "10.0.0.1"]), /goes with --clients-elsewhere/);
    assert.throws(() => parseOptions(["--compare", "a", "--compare", "b", "--compare", "c"]), /one file, or two/);
  });
});

function documentFor({ work, database }: { work: number[]; database: number }): Document {
  const taken = new Map([
    ["ceiling", work.map(() => 1_000)],
    ["work", work],
    ["cpu-work-server", work.map(() => 10)],
    ["cpu-work-database", work.map(() => database)],
  ]);
  const report = reportOf({
    machine: describeMachine({ postgres: "18" }),
    rounds: work.length,
    small: false,
    loadBefore: 0,
    startedAt: performance.now(),
    results: resultsOf([MEASURE], taken),
    failures: [{ measure: "other", round: 1, error: "Error: it broke\n    at /home/user/file.ts" }],
  });
  return documentOf(report, parseOptions(["cpu"]));
}
