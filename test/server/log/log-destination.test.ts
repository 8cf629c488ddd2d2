import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { LogDestination } from "../../../src/server/log/log-destination.ts";
import { eventually } from "../../support/eventually.ts";

const WRITER = join(import.meta.dirname, "..", "..", "support", "log-writer.ts");
const LINES = 20_000;

/** A process that has written so many lines to a pipe, of which nothing has been read. */
async function startWriter(lines: number, ending: string) {
  const child = spawn(process.execPath, [WRITER, `${lines}`, ending], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit") as Promise<[code: number | null, signal: string | null]>;
  await once(child.stdout, "data");
  return { child, ended };
}

function parse(text: string): { level: string; line?: number; msg: string }[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { level: string; msg: string });
}

function assertWhole(lines: readonly { line?: number }[], count: number): void {
  assert.deepEqual(
    lines.map(({ line }) => line),
    Array.from({ length: count }, (_, index) => index + 1),
  );
}

describe("the log at the end of its process", () => {
  for (const ending of ["return", "exit"]) {
    it(`has every line, in order, after ${ending}, even with a slow reader`, async () => {
      const { child, ended } = await startWriter(LINES, ending);
      assertWhole(parse((await child.stderr.setEncoding("utf8").toArray()).join("")), LINES);
      assert.deepEqual(await ended, [0, null]);
    });
  }

  it("has every line after an uncaught error", async () => {
    const { child, ended } = await startWriter(100, "throw");
    const text = (await child.stderr.setEncoding("utf8").toArray()).join("");
    // Besides what Node says of the error.
    assertWhole(parse(text.replaceAll(/^(?!\{"level").*\n/gm, "")), 100);
    assert.deepEqual(await ended, [1, null]);
  });

  it("has every line up to one at warn after kill -9", async () => {
    const { child, ended } = await startWriter(100, "warn, then SIGKILL");
    const lines = parse((await child.stderr.setEncoding("utf8").toArray()).join(""));
    assert.deepEqual(await ended, [null, "SIGKILL"]);
    assert.equal(lines.length, 101);
    assert.deepEqual([lines.at(-1)!.level, lines.at(-1)!.msg], ["warn", "the last line"]);
  });
});

describe("a log without a reader", () => {
  it("does not block the process and delivers every line to a later reader", async () => {
    const { child } = await startWriter(LINES, "live"); // It has written them: far more than a pipe holds.
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    try {
      await eventually(() => assert.equal(text.split("\n").length - 1, LINES));
      assert.equal(parse(text).at(-1)!.line, LINES);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("drops lines past 4 MiB and reports how many", async () => {
    const { child } = await startWriter(100_000, "live");
    let text = "";
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    try {
      await eventually(() => assert.match(text, /lines dropped/));
      const lines = parse(text);
      const notice = lines.find(({ level }) => level === "warn") as unknown as { lines: number };
      assert.equal(lines.length - 1 + notice.lines, 100_000);
      assert.ok(notice.lines > 0);
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("does not prevent its process from ending", async () => {
    const { ended } = await startWriter(LINES, "exit");
    assert.deepEqual(await ended, [0, null]);
  });
});

describe("a destination of the log", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "spool-log-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  function open({ isBuffered }: { isBuffered: boolean }) {
    const path = join(folder, "log");
    const fd = openSync(path, "a");
    const log = pino({ level: "info" }, new LogDestination(fd, { isBuffered }));
    return { log, written: () => readFileSync(path, "utf8").split("\n").length - 1, close: () => closeSync(fd) };
  }

  it("buffers lines below warn and writes them at warn, at 16,384 characters and after a delay", async () => {
    const { log, written, close } = open({ isBuffered: true });
    log.info("one");
    assert.equal(written(), 0);
    log.warn("two");
    assert.equal(written(), 2);
    log.info("x".repeat(16_384));
    assert.equal(written(), 3);
    log.info("four");
    assert.equal(written(), 3);
    await eventually(() => assert.equal(written(), 4));
    close();
  });

  it("writes each line at once on a terminal", () => {
    const { log, written, close } = open({ isBuffered: false });
    log.info("one");
    assert.equal(written(), 1);
    close();
  });
});
