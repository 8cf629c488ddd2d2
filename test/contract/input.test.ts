import assert from "node:assert/strict";
import type { DescMethod } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { DEADLINE_AHEAD_MS_MAX, EVENT_BYTES_MAX, PARAMS_BYTES_MAX, RESULT_BYTES_MAX } from "../../src/domain/limits.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { CODES } from "../../src/rpc/errors.ts";
import { EndpointError } from "./endpoint.ts";
import { openWire } from "./grpc-endpoint.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";

const { startTask, getTask, getEvents, streamEvents, listTasks, cancelTask, deleteTask } = TaskService.method;
const { getResult, runTask } = TaskService.method;
const TASK_ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const POLICY = "retry_policy";
const MULTIPLIER = `${POLICY}.backoff_multiplier`;
const DAY_S = 24 * 60 * 60;
const DAYS_30 = { seconds: BigInt(30 * DAY_S), nanos: 1 };
const TOMORROW = timestampFromMs(Date.now() + DAY_S * 1_000);
/** By an hour, so that it is still too late when the tests come to it. */
const TOO_LATE = timestampFromMs(Date.now() + DEADLINE_AHEAD_MS_MAX + 3_600_000);

/** What is wrong, the call, its request, and the reason and field that the answer must name. */
const REFUSED: readonly [string, DescMethod, Record<string, unknown>, string, string?][] = [
  ["no kind", startTask, {}, "INVALID_ARGUMENT", "kind"],
  [
    "params that the kind refuses",
    startTask,
    { kind: "echo", params: { count: -1 } },
    "INVALID_ARGUMENT",
    "params.count",
  ],
  ["an unknown param", startTask, { kind: "echo", params: { colour: 1 } }, "INVALID_ARGUMENT", "params.colour"],
  ["params over the bound", startTask, echoWith("x".repeat(PARAMS_BYTES_MAX)), "INVALID_ARGUMENT", "params"],
  ["NUL in a label", startTask, { kind: "echo", labels: { a: "\0" } }, "INVALID_ARGUMENT", `labels["a"]`],
  ["NUL in a request_id", startTask, { kind: "echo", requestId: "a\0" }, "INVALID_ARGUMENT", "request_id"],
  [
    "an initial backoff of 0",
    startTask,
    policy({ initialBackoff: {} }),
    "INVALID_ARGUMENT",
    `${POLICY}.initial_backoff`,
  ],
  [
    "a maximum backoff past 30 days",
    startTask,
    policy({ maxBackoff: DAYS_30 }),
    "INVALID_ARGUMENT",
    `${POLICY}.max_backoff`,
  ],
  ["a multiplier below 1", startTask, policy({ backoffMultiplier: 0.99 }), "INVALID_ARGUMENT", MULTIPLIER],
  ["a multiplier past 100", startTask, policy({ backoffMultiplier: 100.01 }), "INVALID_ARGUMENT", MULTIPLIER],
  ["a multiplier that is not a number", startTask, policy({ backoffMultiplier: NaN }), "INVALID_ARGUMENT", MULTIPLIER],
  ["an infinite multiplier", startTask, policy({ backoffMultiplier: Infinity }), "INVALID_ARGUMENT", MULTIPLIER],
  ["a jitter below 0", startTask, policy({ jitter: -0.01 }), "INVALID_ARGUMENT", `${POLICY}.jitter`],
  ["a jitter past 1", startTask, policy({ jitter: 1.01 }), "INVALID_ARGUMENT", `${POLICY}.jitter`],
  ["a jitter that is not a number", startTask, policy({ jitter: NaN }), "INVALID_ARGUMENT", `${POLICY}.jitter`],
  ["101 attempts", startTask, { kind: "echo", maxAttempts: 101 }, "INVALID_ARGUMENT", "max_attempts"],
  ["a deadline past 732 days", startTask, { kind: "echo", deadlineAt: TOO_LATE }, "INVALID_ARGUMENT", "deadline_at"],
  [
    "a deadline equal to its run_at",
    startTask,
    { kind: "echo", runAt: TOMORROW, deadlineAt: TOMORROW },
    "INVALID_ARGUMENT",
    "deadline_at",
  ],
  ["a retention below 1 s", startTask, retention(0n, 999_999_999), "INVALID_ARGUMENT", "retention"],
  ["a retention past 36,500 days", startTask, retention(36_500n * 86_400n, 1), "INVALID_ARGUMENT", "retention"],
  ["a malformed task id", getTask, { taskId: "nonsense" }, "INVALID_ARGUMENT", "task_id"],
  ["an unknown task id", getTask, { taskId: TASK_ID }, "TASK_NOT_FOUND"],
  ["a malformed task id of a delete", deleteTask, { taskId: "nonsense" }, "INVALID_ARGUMENT", "task_id"],
  ["a delete of an unknown task id", deleteTask, { taskId: TASK_ID }, "TASK_NOT_FOUND"],
  ["a negative from_seq", getEvents, { taskId: TASK_ID, fromSeq: -1n }, "INVALID_ARGUMENT", "from_seq"],
  ["a limit of 0", getEvents, { taskId: TASK_ID, limit: 0 }, "INVALID_ARGUMENT", "limit"],
  ["a limit of 1,001", getEvents, { taskId: TASK_ID, limit: 1_001 }, "INVALID_ARGUMENT", "limit"],
  ["a wait of 61 s", getEvents, { taskId: TASK_ID, wait: { seconds: 61n } }, "INVALID_ARGUMENT", "wait"],
  ["a wait of 61 s for a result", getResult, { taskId: TASK_ID, wait: { seconds: 61n } }, "INVALID_ARGUMENT", "wait"],
  ["an invalid page token", listTasks, { pageToken: "bm9uc2Vuc2U" }, "INVALID_ARGUMENT", "page_token"],
  ["a prefix of 7 characters", listTasks, { taskIdPrefix: TASK_ID.slice(0, 7) }, "INVALID_ARGUMENT", "task_id_prefix"],
  ["a prefix of 37 characters", listTasks, { taskIdPrefix: `${TASK_ID}0` }, "INVALID_ARGUMENT", "task_id_prefix"],
  ["a prefix that no task id has", listTasks, { taskIdPrefix: "018f3a5c7b1e" }, "INVALID_ARGUMENT", "task_id_prefix"],
  ["a page of 1,001 tasks", listTasks, { pageSize: 1_001 }, "INVALID_ARGUMENT", "page_size"],
  [
    "a reason of 1,025 characters",
    cancelTask,
    { taskId: TASK_ID, reason: "x".repeat(1_025) },
    "INVALID_ARGUMENT",
    "reason",
  ],
];

const REFUSED_STREAMS: typeof REFUSED = [
  ["a negative from_seq", streamEvents, { taskId: TASK_ID, fromSeq: -1n }, "INVALID_ARGUMENT", "from_seq"],
  ["an unknown task", streamEvents, { taskId: TASK_ID }, "TASK_NOT_FOUND"],
  ["a heartbeat of 61 s", streamEvents, heartbeat(61n), "INVALID_ARGUMENT", "heartbeat_interval"],
  ["no start", runTask, {}, "INVALID_ARGUMENT", "start.kind"],
  ["a jitter past 1", runTask, { start: policy({ jitter: 1.01 }) }, "INVALID_ARGUMENT", `start.${POLICY}.jitter`],
  [
    "a deadline past 732 days",
    runTask,
    { start: { kind: "echo", deadlineAt: TOO_LATE } },
    "INVALID_ARGUMENT",
    "start.deadline_at",
  ],
  [
    "params that the kind refuses",
    runTask,
    { start: { kind: "echo", params: { count: -1 } } },
    "INVALID_ARGUMENT",
    "start.params.count",
  ],
];

describe("the gRPC endpoint", () => {
  let served: Served;
  let wire: ReturnType<typeof openWire>;
  before(async () => {
    served = await openServed();
    wire = openWire(served.address);
  });
  after(async () => {
    wire?.close();
    await served?.[Symbol.asyncDispose]();
  });

  for (const [what, method, request, reason, field] of REFUSED) {
    it(`refuses ${method.name} with ${what}, and names reason and field`, async () => {
      await assertRefused(wire.unary(method, request), reason, field);
    });
  }

  for (const [what, method, request, reason, field] of REFUSED_STREAMS) {
    it(`refuses ${method.name} with ${what}, and names reason and field`, async () => {
      await assertRefused(Array.fromAsync(wire.stream(method, request)), reason, field);
    });
  }

  it("rejects an event or a result over its bound in the code of the task, and the tape has none of it", async () => {
    const actor = served.stage.actor();
    const { task } = await wire.unary(startTask, { kind: "stage", params: actor.params });
    const running = await actor.enter();
    const tooLarge = running.partial("large", { text: "x".repeat(EVENT_BYTES_MAX) });
    await assert.rejects(tooLarge, /partial: must be at most 262144 bytes/);
    await assert.rejects(running.log("INFO", "\ud800"), /log\.message: must not hold an unpaired surrogate/);
    actor.leave({ text: "x".repeat(RESULT_BYTES_MAX) });
    const { outcome } = await wire.unary(getResult, { taskId: task!.taskId, wait: { seconds: 10n } });
    assert.match(outcome.case === "error" ? outcome.value.message : "", /result: must be at most 3145728 bytes/);
    const { events } = await wire.unary(getEvents, { taskId: task!.taskId });
    assert.deepEqual(
      events.map(({ body }) => body.case),
      ["started", "final"],
    );
  });
});

async function assertRefused(call: Promise<unknown>, reason: string, field?: string): Promise<void> {
  const error = await call.then(
    () => assert.fail("was not refused"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof EndpointError, String(error));
  assert.equal(error.reason, reason);
  assert.equal(error.code, CODES[reason as keyof typeof CODES], Code[error.code]);
  if (field !== undefined) assert.ok(error.fields.includes(field), `names ${error.fields.join(", ")}, not ${field}`);
}

function echoWith(text: string) {
  return { kind: "echo", params: { text } };
}

function retention(seconds: bigint, nanos: number) {
  return { kind: "echo", retention: { seconds, nanos } };
}

function policy(retryPolicy: Record<string, unknown>) {
  return { kind: "echo", retryPolicy };
}

function heartbeat(seconds: bigint) {
  return { taskId: TASK_ID, heartbeatInterval: { seconds } };
}
