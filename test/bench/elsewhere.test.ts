import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { readDocument } from "../../bench/document.ts";
import { WORK_NAMES } from "../../bench/load/works.ts";

const ROOT = join(import.meta.dirname, "../..");

describe("npm run bench -- --clients-elsewhere @slow", function () {
  this.timeout(180_000);

  it("has a client load two shards by the command that it prints, and reports the figures of both sides", async () => {
    await using opened = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "spool-bench-"));
    opened.defer(() => rm(folder, { recursive: true }));
    const file = join(folder, "report.json");
    const size = ["--shards", "2", "--postgres", "1", "--servers", "1", "--seconds", "0.2", "--rounds", "1"];
    const bench = spawn(process.execPath, ["bench/main.ts", "--clients-elsewhere", ...size, "--report", file], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    opened.defer(() => void bench.kill());
    const ended = once(bench, "exit");
    let command = "";
    const printed: string[] = [];
    for await (const line of createInterface({ input: bench.stdout })) {
      printed.push(line);
      if (!line.includes("npm run")) continue;
      command = line;
      const { stdout } = await promisify(execFile)("sh", ["-c", command], { cwd: ROOT });
      const done = stdout
        .trim()
        .split("\n")
        .map((text) => JSON.parse(text) as { work: string; counts: number[]; perSecond: number });
      assert.deepEqual(
        done.map(({ work }) => work),
        WORK_NAMES,
      );
      for (const { counts, perSecond } of done) {
        assert.equal(counts.length, 2);
        assert.ok(perSecond > 0 && counts.every((count) => count > 0), counts.join());
      }
    }
    assert.deepEqual(await ended, [0, null], printed.join("\n"));

    const document = readDocument(file);
    const { shards, postgres, servers, clients } = document.options;
    assert.deepEqual({ shards, postgres, servers, clients }, { shards: 2, postgres: 1, servers: 1, clients: 1 });
    assert.deepEqual(
      document.cpu.map(({ of }) => of),
      WORK_NAMES.map((work) => `elsewhere-${work}`),
    );
    for (const { parts, of } of document.cpu) {
      assert.ok(parts.client! > 0 && parts.server! > 0 && parts.database! > 0, of);
    }
    assert.ok(document.results.every(({ median }) => Number.isFinite(median)));
    const token = /SPOOL_TOKEN=(\S+)/.exec(command)![1]!;
    assert.ok(!(await readFile(file, "utf8")).includes(token));
  });
});
