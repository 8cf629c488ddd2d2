import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskStatus } from "../../../src/gen/spool/v1/task_pb.ts";
import { failure, final, frame, log, serveScript, T0, TASK_ID, taskMessage } from "../../client/scripted-server.ts";
import type { Script } from "../../client/scripted-server.ts";
import { runSpool } from "../spool-process.ts";

const SHORT = TASK_ID.replace(/.$/, "0");
/** A tape that is streamed. */
const LONG_EVENTS = 200n;

function ended(taskId: string, lastSeq: bigint) {
  const finishedAt = timestampFromMs(T0);
  return taskMessage({ taskId, kind: "echo", status: TaskStatus.SUCCEEDED, params: {}, finishedAt, lastSeq });
}

const removed = () => failure("NOT_FOUND", "it was removed", { reason: "TASK_EXPIRED" });

const script: Script = {
  listTasks: () => ({
    tasks: [
      taskMessage({ taskId: TASK_ID.replace(/.$/, "9"), status: TaskStatus.RUNNING }),
      ended(TASK_ID, LONG_EVENTS),
      ended(SHORT, 2n),
    ],
  }),
  getTask: ({ taskId }) => ({ task: ended(taskId, taskId === TASK_ID ? LONG_EVENTS : 2n) }),
  getEvents: ({ taskId }) => ({
    taskId,
    events: [log(1, "a line"), final(2)],
    nextFromSeq: 3n,
    lastSeq: 2n,
    status: TaskStatus.SUCCEEDED,
  }),
};

async function spoolExport(changes: Script) {
  await using server = await serveScript({ ...script, ...changes });
  const { code, stdout, stderr } = await runSpool(["export", "--format", "jsonl", "--address", server.address]);
  const lines = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, { taskId?: string }>);
  return { code, lines, stderr };
}

describe("spool export", () => {
  it("leaves out tasks that have not ended, and tasks that are removed before they are read", async () => {
    const { code, lines, stderr } = await spoolExport({
      getTask: ({ taskId }) => {
        if (taskId === TASK_ID) throw removed();
        return { task: ended(taskId, 2n) };
      },
    });
    assert.equal(code, 0, stderr);
    assert.deepEqual(
      lines.map((line) => Object.keys(line)[0]),
      ["header", "task", "event", "event", "end", "footer"],
    );
    assert.match(stderr, /^1 tasks that had not ended by \S+ were left out$/m);
    assert.match(stderr, /^1 tasks that were removed during the export were left out$/m);
  });

  it("discards a task that is removed while its tape is read", async () => {
    const { code, lines, stderr } = await spoolExport({
      async *streamEvents(_request, { cancelled }) {
        yield frame([log(1, "a line")], Number(LONG_EVENTS));
        // The client drops unread frames when an error comes.
        await Promise.race([cancelled, new Promise((resolve) => setImmediate(resolve))]);
        throw removed();
      },
    });
    assert.equal(code, 0, stderr);
    const discarded = lines.findIndex((line) => "discard" in line);
    if (discarded !== -1) assert.equal(lines[discarded]!["discard"]!.taskId, TASK_ID);
    const ends = lines.flatMap((line) => line["end"]?.taskId ?? []);
    assert.deepEqual(ends, [SHORT]);
    assert.deepEqual(lines.at(-1), { footer: { tasks: 1, events: 2 } });
    assert.match(stderr, /^1 tasks that were removed during the export were left out$/m);
  });

  it("fails for a tape whose last event is not final", async () => {
    const { code, stderr } = await spoolExport({
      getEvents: ({ taskId }) => ({
        taskId,
        events: [log(1, "a line"), log(2, "a line")],
        nextFromSeq: 3n,
        lastSeq: 2n,
        status: TaskStatus.SUCCEEDED,
      }),
      listTasks: () => ({ tasks: [ended(SHORT, 2n)] }),
    });
    assert.equal(code, 1);
    assert.match(stderr, /^spool: task \S+: the tape has 2 of 2 events and ends with log$/m);
  });
});
