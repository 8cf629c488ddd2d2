import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import { progress, serveScript, T0, TASK_ID, taskMessage } from "../client/scripted-server.ts";

const run = promisify(execFile);
const BIN = join(import.meta.dirname, "../../bin/spool.js");
const TERMINAL = join(import.meta.dirname, "terminal.py");

describe("spool follow on a terminal", () => {
  it("leaves complete bars after Ctrl-C, with the command that resumes below them", async () => {
    await using server = await serveScript({
      getTask: () => ({ task: taskMessage({ status: TaskStatus.RUNNING }) }),
      async *streamEvents(_, { cancelled }) {
        yield { events: [progress(1, 3)], nextFromSeq: 2n, lastSeq: 1n, status: TaskStatus.RUNNING };
        await cancelled;
      },
    });
    const words = [process.execPath, BIN, "follow", TASK_ID, "--address", server.address];
    const env = { ...process.env, NO_COLOR: "1", TERM: "xterm" };
    const { stdout } = await run("python3", [TERMINAL, "1/3", ...words], { env });
    const lines = screenOf(stdout);
    assert.match(lines[0]!, /^echo █*░* 1\/3 33%$/);
    assert.equal(lines[1], `detached: task ${TASK_ID} keeps running`);
    assert.doesNotMatch(lines.join("\n"), /\^C/);
    // The command switches no terminal mode off that an abrupt exit would leave off.
    assert.ok(!stdout.includes("\u001b[?"));
  });
});

describe("spool list on a terminal", () => {
  it("shows ages, and no line is longer than 80 columns", async () => {
    const started = timestampFromMs(T0);
    const task = taskMessage({
      startedAt: started,
      finishedAt: timestampFromMs(T0 + 90_000),
      labels: { team: "search" },
    });
    await using server = await serveScript({ listTasks: () => ({ tasks: [task] }) });
    const words = [process.execPath, BIN, "list", "--address", server.address];
    // The terminal does not know its width, which counts as the least.
    const { stdout } = await run("python3", [TERMINAL, "no such text", ...words], {
      env: { ...process.env, TERM: "xterm" },
    });
    const [heading, row] = screenOf(stdout);
    assert.match(heading!, /^TASK +KIND +STATUS +AGE +ENDED +RAN$/);
    assert.match(row!, /^\S+ +echo +running +\d+d +\d+d ago +1m 30s$/);
    assert.ok(row!.length <= 80, row);
  });
});

const ESCAPE = "\u001b";
/** A cursor movement up, a clear to the end of the screen, or a character. */
const TOKENS = new RegExp(`${ESCAPE}\\[(\\d+)A|${ESCAPE}\\[J|[^]`, "gu");

/** Returns the lines that a terminal shows at the end. Interprets only the escape sequences that the bars use. */
function screenOf(written: string): string[] {
  const lines: string[] = [""];
  let row = 0;
  let column = 0;
  for (const [token, up] of written.matchAll(TOKENS)) {
    if (up !== undefined) row -= Number(up);
    else if (token === "\u001b[J") lines.splice(row, Infinity, (lines[row] ?? "").slice(0, column));
    else if (token === "\r") column = 0;
    else if (token === "\n") row += 1;
    else {
      const line = (lines[row] ?? "").padEnd(column);
      lines[row] = line.slice(0, column) + token + line.slice(column + 1);
      column += 1;
    }
    lines[row] ??= "";
  }
  return lines.map((line) => line.trimEnd());
}
