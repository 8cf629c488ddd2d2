import assert from "node:assert/strict";
import { pino } from "pino";
import type { Kind } from "../../../src/domain/kind.ts";
import type { TaskRequest } from "../../../src/domain/task.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { TaskError } from "../../../src/kinds/define-kind.ts";
import { kindOf, outcomeOf, start, untilEvent, untilStopped } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { describeOnEachStore } from "../../support/stores.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

const KINDS: readonly Kind[] = [
  kindOf("works", async () => {}),
  kindOf("fails", () => Promise.reject(new TaskError("TOO_HOT", "it is too hot"))),
  kindOf("waits", ({ signal }) => untilStopped(signal)),
];

type Line = Record<string, unknown>;

describeOnEachStore("the log lines of a task", (store) => {
  /** What an engine's log says of a task at info and above, without what every line has, when it has ended. */
  async function linesOf(request: Partial<TaskRequest>, during: (engine: Engine, taskId: string) => Promise<unknown>) {
    const lines: Line[] = [];
    const log = pino(
      { level: "info", base: null, timestamp: false },
      { write: (line) => lines.push(JSON.parse(line) as Line) },
    );
    await using engine = await startEngine(store(), { kinds: KINDS, log });
    const taskId = await start(engine, request);
    await during(engine, taskId);
    await outcomeOf(engine, taskId);
    const isOver = ({ msg }: Line) => /ended|without its code/.test(String(msg));
    await eventually(() => assert.ok(lines.some(isOver)));
    const own = lines.filter((line) => line["task_id"] === taskId);
    for (const line of own) {
      if (line["msg"] === "attempt: ended") assert.ok(Number.isInteger(line["duration_ms"]));
      if ("err" in line) line["err"] = (line["err"] as { message: string }).message;
      for (const field of ["level", "task_id", "duration_ms"]) delete line[field];
    }
    return own;
  }

  const nothing = async () => {};

  it("are one at the start and one at the end", async () => {
    const about = { kind: "works", attempt: 1 };
    assert.deepEqual(await linesOf({ kind: "works" }, nothing), [
      { ...about, msg: "attempt: started" },
      { ...about, outcome: "succeeded", msg: "attempt: ended" },
    ]);
  });

  it("contain the failure and the trace of the start", async () => {
    const about = { kind: "fails", attempt: 1, trace_id: TRACE_ID };
    assert.deepEqual(await linesOf({ kind: "fails", traceparent: TRACEPARENT }, nothing), [
      { ...about, msg: "attempt: started" },
      { ...about, err: "it is too hot", msg: "attempt: code threw" },
      { ...about, outcome: "failed", reason: "TOO_HOT", msg: "attempt: ended" },
    ]);
  });

  it("omit a trace that is not sampled", async () => {
    const lines = await linesOf({ kind: "works", traceparent: TRACEPARENT.replace(/1$/, "0") }, nothing);
    assert.deepEqual(
      lines.map((line) => "trace_id" in line),
      [false, false],
    );
  });

  it("report a cancel of a running or pending task", async () => {
    const about = { kind: "waits", attempt: 1 };
    const running = await linesOf({ kind: "waits" }, async (engine, taskId) => {
      await untilEvent(engine, taskId, "started");
      await engine.cancelTask(taskId, { reason: "enough", by: null });
    });
    assert.deepEqual(running, [
      { ...about, msg: "attempt: started" },
      { ...about, outcome: "cancelled", msg: "attempt: ended" },
    ]);
    const later = { kind: "waits", runAt: new Date(Date.now() + 3_600_000) };
    const waiting = await linesOf(later, (engine, taskId) => engine.cancelTask(taskId, { reason: "enough", by: null }));
    assert.deepEqual(waiting, [
      {
        ...about,
        attempt: 0,
        outcome: "cancelled",
        because: "cancel",
        msg: "task: ended or requeued outside an attempt",
      },
    ]);
  });
});
