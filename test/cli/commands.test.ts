import assert from "node:assert/strict";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import { CancelOutcome } from "../../src/gen/spool/v1/task_service_pb.ts";
import { failure, final, progress, serveScript, T0, TASK_ID, taskMessage } from "../client/scripted-server.ts";
import type { Script } from "../client/scripted-server.ts";
import { runSpool } from "./spool-process.ts";

const outcomes = {
  succeeded: { status: TaskStatus.SUCCEEDED, outcome: { case: "result", value: { n: 1 } } },
  failed: { status: TaskStatus.FAILED, outcome: { case: "error", value: { reason: "BROKEN", message: "it\nbroke" } } },
  cancelled: { status: TaskStatus.CANCELLED, outcome: { case: "error", value: { reason: "CANCELLED", message: "" } } },
} as const;
const notTerminal = () =>
  failure("FAILED_PRECONDITION", `task ${TASK_ID} is running: it has no result yet`, {
    reason: "TASK_NOT_TERMINAL",
    metadata: { task_id: TASK_ID, current_status: "running" },
  });

function resultScript(outcome: keyof typeof outcomes, { unfinished = 0 } = {}): Script {
  return {
    getResult: (_, { attempt }) => {
      if (attempt <= unfinished) throw notTerminal();
      return { taskId: TASK_ID, finishedAt: timestampFromMs(T0), ...outcomes[outcome] };
    },
  };
}

describe("spool result", () => {
  it("prints the result of a task that succeeded, and exits with 0", async () => {
    const { code, stdout, stderr } = await spool(["result", TASK_ID], resultScript("succeeded"));
    assert.deepEqual([code, stdout, stderr], [0, '{"n":1}\n', ""]);
  });

  it("reports why a task failed, and exits with 1", async () => {
    const { code, stdout, stderr } = await spool(["result", TASK_ID], resultScript("failed"));
    assert.deepEqual([code, stdout, stderr], [1, "", `task ${TASK_ID} failed: BROKEN: it\\nbroke\n`]);
  });

  it("exits with 130 for a cancelled task", async () => {
    assert.equal((await spool(["result", TASK_ID], resultScript("cancelled"))).code, 130);
  });

  it("prints all fields of the result with --json", async () => {
    const { code, stdout } = await spool(["result", TASK_ID, "--json"], resultScript("failed"));
    assert.equal(code, 1);
    assert.deepEqual(JSON.parse(stdout), {
      task_id: TASK_ID,
      status: "failed",
      started_at: null,
      finished_at: new Date(T0).toISOString(),
      error: { reason: "BROKEN", message: "it\nbroke" },
    });
  });

  it("reports how to wait for a task that has not ended", async () => {
    const { code, stderr } = await spool(["result", TASK_ID], resultScript("succeeded", { unfinished: 9 }));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`FAILED_PRECONDITION, TASK_NOT_TERMINAL\\)\n.*spool result ${TASK_ID} --wait\n$`));
  });

  it("waits for the end of the task with --wait", async () => {
    const { code, stdout } = await spool(["result", TASK_ID, "--wait"], resultScript("succeeded", { unfinished: 2 }));
    assert.deepEqual([code, stdout], [0, '{"n":1}\n']);
  });

  it("exits with 124 when its --timeout expires", async () => {
    const script: Script = { getResult: async (_, { cancelled }) => (await cancelled, {}) };
    const { code, stderr } = await spool(["result", TASK_ID, "--wait", "--timeout", "300ms"], script);
    assert.equal(code, 124);
    assert.match(stderr, /timed out: .*keeps running\n.*spool result .* --wait/s);
  });
});

describe("spool events", () => {
  const script: Script = {
    getEvents: ({ fromSeq, limit, wait }) => {
      assert.deepEqual([fromSeq, limit, wait?.seconds], [2n, 2, 5n]);
      const status = TaskStatus.SUCCEEDED;
      return { taskId: TASK_ID, events: [progress(2), final(3)], nextFromSeq: 4n, lastSeq: 9n, status, hasMore: true };
    },
  };
  const words = ["events", TASK_ID, "--from-seq", "2", "--limit", "2", "--wait", "5s"];

  it("prints a page as lines, and the command for the next page", async () => {
    const { code, stdout, stderr } = await spool(words, script);
    assert.equal(code, 0);
    assert.match(stdout, /^\S+ 2 progress echo 2\/5 40%\n\S+ 3 succeeded\n$/);
    assert.match(stderr, new RegExp(`^next page: {2}spool events ${TASK_ID} --from-seq 4 --address`));
  });

  it("prints all fields of the page with --json", async () => {
    const { stdout, stderr } = await spool([...words, "--json"], script);
    const { events, ...page } = JSON.parse(stdout);
    assert.deepEqual(page, { task_id: TASK_ID, status: "succeeded", next_from_seq: 4, has_more: true, last_seq: 9 });
    assert.equal(events.length, 2);
    assert.equal(stderr, "");
  });
});

describe("spool cancel", () => {
  for (const [outcome, text] of [
    ["REQUESTED", "is running and was asked to end"],
    ["CANCELLED", "was pending and is now cancelled"],
    ["ALREADY_TERMINAL", "had already ended; nothing has changed"],
  ] as const) {
    it(`reports that the task ${text}`, async () => {
      let reason: unknown;
      const script: Script = {
        cancelTask: (request) => {
          reason = request.reason;
          return { task: taskMessage(), outcome: CancelOutcome[outcome] };
        },
      };
      const { code, stdout } = await spool(["cancel", TASK_ID, "--reason", "wrong params"], script);
      assert.deepEqual([code, stdout, reason], [0, `task ${TASK_ID} ${text} (status running)\n`, "wrong params"]);
      const { stdout: json } = await spool(["cancel", TASK_ID, "--json"], script);
      assert.deepEqual(JSON.parse(json), { task_id: TASK_ID, status: "running", outcome: outcome.toLowerCase() });
    });
  }
});

describe("spool get", () => {
  const script: Script = {
    getTask: () => ({
      task: taskMessage({
        params: { a: "\u009b1m" },
        labels: { l: "\u001b[2J" },
        deadlineAt: timestampFromMs(T0),
        lastSeq: 2n ** 60n,
      }),
    }),
  };

  it("prints the fields that are set, one line each, with control characters escaped", async () => {
    const { code, stdout } = await spool(["get", TASK_ID], script);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^task_id +${TASK_ID}$`, "m"));
    assert.match(stdout, /^params +\{"a":"\\u009b1m"\}$/m);
    assert.match(stdout, /^labels +\{"l":"\\u001b\[2J"\}$/m);
    assert.match(stdout, new RegExp(`^deadline_at +${new Date(T0).toISOString()}$`, "m"));
    assert.ok(!stdout.includes("finished_at") && !stdout.includes("attempt_deadline_at"));
  });

  it("prints every field under its proto name with --json", async () => {
    const { stdout } = await spool(["get", TASK_ID, "--json"], script);
    const time = new Date(T0).toISOString();
    const { last_seq: _, ...task } = JSON.parse(stdout);
    assert.deepEqual(task, {
      task_id: TASK_ID,
      kind: "echo",
      status: "running",
      params: { a: "\u009b1m" },
      params_digest: "0".repeat(64),
      labels: { l: "\u001b[2J" },
      request_id: null,
      retention_ms: null,
      created_at: time,
      started_at: null,
      started_by: null,
      finished_at: null,
      run_at: null,
      deadline_at: time,
      attempt_deadline_at: null,
      timeout_ms: null,
      attempt: 0,
      max_attempts: 1,
      handovers: 0,
      awaits_worker: false,
      retry_policy: { initial_backoff_ms: 1_000, max_backoff_ms: 300_000, backoff_multiplier: 2, jitter: 0.2 },
      cancel_requested_at: null,
      cancelled_by: null,
    });
  });

  it("prints numbers above 2^53 exactly with --json", async () => {
    const { stdout } = await spool(["get", TASK_ID, "--json"], script);
    assert.match(stdout, /"last_seq":1152921504606846976\}/);
    assert.equal(JSON.parse(stdout).finished_at, null);
  });
});

describe("spool list", () => {
  const tasks = Array.from({ length: 5 }, (_, index) => taskMessage({ taskId: `t${index}`, labels: { n: "\u001b" } }));
  const script: Script = {
    listTasks: ({ pageSize, pageToken }) => {
      const from = Number(pageToken || 0);
      const next = from + Math.min(pageSize, 2);
      return { tasks: tasks.slice(from, next), nextPageToken: next < tasks.length ? String(next) : "" };
    },
  };

  it("prints one table from several pages, and reports that more tasks match", async () => {
    const { code, stdout, stderr } = await spool(["list", "--limit", "3"], script);
    assert.equal(code, 0);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows[0], ["TASK", "KIND", "STATUS", "CREATED", "ENDED", "RAN", "LABELS"]);
    assert.deepEqual(rows[1], ["t0", "echo", "running", new Date(T0).toISOString(), "n=\\u001b"]);
    assert.deepEqual(
      rows.slice(1).map(([id]) => id),
      ["t0", "t1", "t2"],
    );
    assert.match(stderr, /^more than 3 tasks match; /);
  });

  it("prints every task with --all, as one JSON object each with --json", async () => {
    const { stdout, stderr } = await spool(["list", "--all", "--json"], script);
    const ids = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).task_id);
    assert.deepEqual(ids, ["t0", "t1", "t2", "t3", "t4"]);
    assert.equal(stderr, "");
  });

  it("prints when each task ended and how long it ran", async () => {
    const time = (ms: number) => timestampFromMs(T0 + ms);
    const ended = taskMessage({ startedAt: time(1_000), finishedAt: time(63_500), status: TaskStatus.SUCCEEDED });
    const { stdout } = await spool(["list"], { listTasks: () => ({ tasks: [ended] }) });
    const [, row] = stdout.split("\n");
    const times = [0, 63_500].map((ms) => new Date(T0 + ms).toISOString());
    assert.deepEqual(row!.split(/ {2,}/).slice(2), ["succeeded", ...times, "1m 2s"]);
  });

  it("reports no further tasks if exactly --limit tasks match", async () => {
    assert.equal((await spool(["list", "--limit", "5"], script)).stderr, "");
  });

  it("prints each task id up to the length that identifies the task", async () => {
    const { stdout } = await spool(["list"], { listTasks: () => ({ tasks: [taskMessage({ taskId: TASK_ID })] }) });
    assert.match(stdout, new RegExp(`^${TASK_ID.slice(0, 26)}  `, "m"));
  });

  it("prints nothing if no task matches", async () => {
    const { code, stdout } = await spool(["list"], { listTasks: () => ({}) });
    assert.deepEqual([code, stdout], [0, ""]);
  });

  it("sends its filters to the server", async () => {
    let sent: unknown;
    await spool(["list", "--status", "failed", "--status", "cancelled", "--kind", "echo", "--label", "a=b"], {
      listTasks: ({ statuses, kinds, labels }) => {
        sent = [statuses, kinds, { ...labels }];
        return {};
      },
    });
    assert.deepEqual(sent, [[TaskStatus.FAILED, TaskStatus.CANCELLED], ["echo"], { a: "b" }]);
  });
});

describe("spool list --workers", () => {
  const time = timestampFromMs(T0);
  const session = { host: "a\u001bb", pid: 7, kinds: ["echo", "ingest"], capacity: 64, running: 3, isWorker: true };
  const script = (hasMore: boolean): Script => ({
    listSessions: () => ({
      sessions: [{ ...session, sessionId: TASK_ID, startedAt: time, seenAt: time, expiresAt: time }],
      hasMore,
    }),
  });

  it("prints the sessions with their running tasks, capacity and kinds", async () => {
    const { code, stdout, stderr } = await spool(["list", "--workers"], script(false));
    assert.deepEqual([code, stderr], [0, ""]);
    const rows = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    assert.deepEqual(rows, [
      ["SESSION", "ROLE", "HOST", "PID", "RUNNING", "SEEN", "KINDS"],
      [TASK_ID, "worker", "a\\u001bb", "7", "3/64", new Date(T0).toISOString(), "echo ingest"],
    ]);
  });

  it("prints one JSON object for each session with --json, and reports that more exist", async () => {
    const { stdout, stderr } = await spool(["list", "--workers", "--json"], script(true));
    const at = new Date(T0).toISOString();
    const times = { started_at: at, seen_at: at, expires_at: at };
    const { isWorker: is_worker, ...named } = session;
    assert.deepEqual(JSON.parse(stdout), { session_id: TASK_ID, ...named, ...times, is_worker });
    assert.deepEqual(JSON.parse(stderr), { notice: "more", shown: 1 });
  });

  it("rejects the filters for tasks", async () => {
    const { code, stderr } = await spool(["list", "--workers", "--kind", "echo"], script(false));
    assert.equal(code, 2);
    assert.match(stderr, /--workers/);
  });
});

async function spool(words: string[], script: Script) {
  await using server = await serveScript(script);
  return await runSpool([...words, "--address", server.address]);
}
