import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskStatus } from "../../src/gen/spool/v1/task_pb.ts";
import type { StartTaskRequest } from "../../src/gen/spool/v1/task_service_pb.ts";
import { failure, final, frame, progress, serveScript, TASK_ID, taskMessage } from "../client/scripted-server.ts";
import type { Script } from "../client/scripted-server.ts";
import { runSpool, spawnSpool } from "./spool-process.ts";
import type { Ended, SpawnOptions } from "./spool-process.ts";

describe("spool start", () => {
  it("prints a handle with the command that waits, and exits with 0 at once", async () => {
    const { code, stdout, stderr, address } = await start(["echo"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(JSON.parse(stdout), {
      task_id: TASK_ID,
      kind: "echo",
      status: "running",
      already_started: false,
      follow: `spool follow ${TASK_ID} --address ${address}`,
    });
  });

  it("reports that a task waits because no server or worker runs its kind", async () => {
    const waiting = () => ({ task: taskMessage({ kind: "nope", status: TaskStatus.PENDING, awaitsWorker: true }) });
    await using server = await serveScript({ startTask: waiting });
    const { code, stderr } = await runSpool(["start", "nope", "--address", server.address]);
    assert.deepEqual([code, stderr], [0, "no server or worker runs kind nope: the task waits until one does\n"]);
  });

  it("sends the values of its options to the server", async () => {
    const options = ["--params", '{"count": 3}', "--request-id", "nightly-1", "--label", "team=search"];
    const more = ["--label", "note=a=b", "--task-timeout", "1.5s", "--max-attempts", "3"];
    const times = ["--run-at", "2027-01-31T08:00:00+01:00", "--deadline", "2027-01-31T08:00:00Z"];
    const { sent } = await start([
      "echo",
      ...options,
      ...more,
      "--retry-backoff",
      "2s",
      "--retention",
      "90d",
      ...times,
    ]);
    const { kind, params, requestId, labels, timeout, maxAttempts, retryPolicy, runAt, deadlineAt, retention } =
      sent[0]!;
    assert.deepEqual([kind, params, requestId, maxAttempts], ["echo", { count: 3 }, "nightly-1", 3]);
    assert.deepEqual({ ...labels }, { team: "search", note: "a=b" });
    assert.deepEqual([timeout?.seconds, timeout?.nanos], [1n, 500_000_000]);
    assert.deepEqual([retryPolicy?.initialBackoff?.seconds, retryPolicy?.maxBackoff], [2n, undefined]);
    assert.equal(retention?.seconds, 90n * 86_400n);
    assert.equal(runAt?.seconds, BigInt(Date.UTC(2027, 0, 31, 7) / 1_000));
    assert.equal(deadlineAt?.seconds, BigInt(Date.UTC(2027, 0, 31, 8) / 1_000));
  });

  it("reads params from a file and from standard input", async () => {
    const folder = await mkdtemp(join(tmpdir(), "spool-cli-"));
    const file = join(folder, "params.json");
    await writeFile(file, '{"from": "file"}');
    const { sent: fromFile } = await start(["echo", "--params", `@${file}`]);
    await rm(folder, { recursive: true });
    assert.deepEqual(fromFile[0]!.params, { from: "file" });
    const { sent: fromInput } = await start(["echo", "--params", "-"], { input: '{"from": "input"}' });
    assert.deepEqual(fromInput[0]!.params, { from: "input" });
  });

  it("follows the task to its end and prints the result with --wait", async () => {
    const { code, stdout, stderr } = await start(["echo", "--wait"]);
    assert.deepEqual([code, stderr], [0, `task ${TASK_ID} started\n`]);
    const lines = stdout.trimEnd().split("\n");
    assert.match(lines[0]!, / 1 progress echo 1\/5 20%$/);
    assert.match(lines[1]!, / 2 succeeded$/);
    assert.deepEqual(JSON.parse(lines[2]!), { echoed: 2 });
  });

  it("prints only events with --wait --json", async () => {
    const { stdout, stderr } = await start(["echo", "--wait", "--json"]);
    assert.equal(stderr, "");
    const types = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).type);
    assert.deepEqual(types, ["progress", "final"]);
  });

  for (const [status, code] of [
    [TaskStatus.FAILED, 1],
    [TaskStatus.CANCELLED, 130],
  ] as const) {
    it(`exits with ${code} after --wait when the task ends with status ${status}`, async () => {
      const ended = await start(["echo", "--wait"], {}, status);
      assert.equal(ended.code, code);
      assert.match(ended.stdout, /(failed|cancelled) KIND_FAILED: it broke\n$/);
    });
  }

  it("reports the request id if the start gets no response", async () => {
    const refusal = failure("UNAVAILABLE", "the database cannot be reached", { reason: "STORE_UNAVAILABLE" });
    const script: Script = { startTask: () => Promise.reject(refusal) };
    const { code, stderr } = await start(["echo", "--request-id", "mine", "--retry", "0"], {}, undefined, script);
    assert.equal(code, 1);
    assert.match(stderr, /^no response: .*--request-id mine\n/);
    assert.match(stderr, /try again later\n$/);
  });

  it("exits with 124 if its --timeout expires before the response", async () => {
    const script: Script = { startTask: async (_, { cancelled }) => (await cancelled, {}) };
    const { code, stderr } = await start(["echo", "--timeout", "300ms"], {}, undefined, script);
    assert.equal(code, 124);
    assert.match(stderr, /^no response: .*--request-id [0-9a-f-]{36}\n$/);
  });

  it("detaches on Ctrl-C during --wait, and exits with 3", async () => {
    await using server = await serveScript({
      startTask: () => ({ task: taskMessage() }),
      async *streamEvents(_, { cancelled }) {
        yield frame([progress(1)]);
        await cancelled;
      },
    });
    const { child, waitForOutput, ended } = spawnSpool(["start", "echo", "--wait", "--address", server.address]);
    await waitForOutput(" 1 progress");
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    assert.equal(code, 3);
    assert.match(stderr, /detached: task .* keeps running\n.*spool follow .* --from-seq 2 /s);
    assert.equal(server.calls["cancelTask"], undefined);
  });

  it("reports each field that the server rejects", async () => {
    const refusal = failure("INVALID_ARGUMENT", "the params are wrong", {
      reason: "INVALID_ARGUMENT",
      violations: [{ field: "params.count", description: "must be \u001b[31mat most 5" }],
    });
    const script: Script = { startTask: () => Promise.reject(refusal) };
    const { code, stderr } = await start(["echo"], {}, undefined, script);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      "spool: the params are wrong (INVALID_ARGUMENT)\n  params.count: must be \\u001b[31mat most 5\n",
    );
    const { stderr: json, stdout } = await start(["echo", "--json"], {}, undefined, script);
    assert.equal(stdout, "");
    assert.deepEqual(JSON.parse(json), {
      error: {
        message: "the params are wrong",
        code: "INVALID_ARGUMENT",
        reason: "INVALID_ARGUMENT",
        metadata: {},
        violations: [{ field: "params.count", description: "must be \u001b[31mat most 5" }],
      },
    });
  });
});

async function start(
  words: string[],
  options: SpawnOptions = {},
  status: TaskStatus = TaskStatus.SUCCEEDED,
  script: Script = {},
): Promise<Ended & { sent: StartTaskRequest[]; address: string }> {
  const sent: StartTaskRequest[] = [];
  await using server = await serveScript({
    startTask: (request) => {
      sent.push(request);
      return { task: taskMessage() };
    },
    async *streamEvents() {
      yield frame([progress(1), final(2, status)]);
    },
    ...script,
  });
  return {
    ...(await runSpool(["start", ...words, "--address", server.address], options)),
    sent,
    address: server.address,
  };
}
