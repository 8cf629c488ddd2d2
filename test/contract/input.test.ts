import assert from "node:assert/strict";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { EVENT_BYTES_MAX, PARAMS_BYTES_MAX, RESULT_BYTES_MAX } from "../../src/domain/limits.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { CODES } from "../../src/rpc/errors.ts";
import { DoorError } from "./door.ts";
import { openWire } from "./grpc-door.ts";
import { openServed } from "./served.ts";
import type { Served } from "./served.ts";

const { startTask, getTask, getEvents, streamEvents, listTasks, cancelTask, getResult, runTask } = TaskService.method;
const TASK_ID = "01890a5d-ac96-774b-bcce-b302099a8057";

/** What is wrong, the call, its request, and the reason and field that the answer must name. */
const REFUSED: readonly [string, DescMethod, Record<string, unknown>, string, string?][] = [
  ["an unknown kind", startTask, { kind: "nope" }, "KIND_UNKNOWN", "kind"],
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
  ["a malformed task id", getTask, { taskId: "nonsense" }, "INVALID_ARGUMENT", "task_id"],
  ["an unknown task id", getTask, { taskId: TASK_ID }, "TASK_NOT_FOUND"],
  ["a negative from_seq", getEvents, { taskId: TASK_ID, fromSeq: -1n }, "INVALID_ARGUMENT", "from_seq"],
  ["a limit of 0", getEvents, { taskId: TASK_ID, limit: 0 }, "INVALID_ARGUMENT", "limit"],
  ["a limit of 1,001", getEvents, { taskId: TASK_ID, limit: 1_001 }, "INVALID_ARGUMENT", "limit"],
  ["a wait of 61 s", getEvents, { taskId: TASK_ID, wait: { seconds: 61n } }, "INVALID_ARGUMENT", "wait"],
  ["a wait of 61 s for a result", getResult, { taskId: TASK_ID, wait: { seconds: 61n } }, "INVALID_ARGUMENT", "wait"],
  ["a made-up page token", listTasks, { pageToken: "bm9uc2Vuc2U" }, "INVALID_ARGUMENT", "page_token"],
  ["a page of 1,001 tasks", listTasks, { pageSize: 1_001 }, "INVALID_ARGUMENT", "page_size"],
  ["an endless reason", cancelTask, { taskId: TASK_ID, reason: "x".repeat(1_025) }, "INVALID_ARGUMENT", "reason"],
];

const REFUSED_STREAMS: typeof REFUSED = [
  ["a negative from_seq", streamEvents, { taskId: TASK_ID, fromSeq: -1n }, "INVALID_ARGUMENT", "from_seq"],
  ["an unknown task", streamEvents, { taskId: TASK_ID }, "TASK_NOT_FOUND"],
  ["a heartbeat of 61 s", streamEvents, heartbeat(61n), "INVALID_ARGUMENT", "heartbeat_interval"],
  ["an unknown kind", runTask, { kind: "nope" }, "KIND_UNKNOWN", "kind"],
];

describe("bad input at the gRPC door is refused with a code, a reason and the field", () => {
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
    it(`${method.name}: ${what}`, async () => {
      await assertRefused(wire.unary(method, request), reason, field);
    });
  }

  for (const [what, method, request, reason, field] of REFUSED_STREAMS) {
    it(`${method.name}: ${what}`, async () => {
      await assertRefused(Array.fromAsync(wire.stream(method, request)), reason, field);
    });
  }

  it("an event, or a result, over its bound is refused to the code, and nothing of it is on the tape", async () => {
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
  assert.ok(error instanceof DoorError, String(error));
  assert.equal(error.reason, reason);
  assert.equal(error.code, CODES[reason as keyof typeof CODES], Code[error.code]);
  if (field !== undefined) assert.ok(error.fields.includes(field), `names ${error.fields.join(", ")}, not ${field}`);
}

function echoWith(text: string) {
  return { kind: "echo", params: { text } };
}

function heartbeat(seconds: bigint) {
  return { taskId: TASK_ID, heartbeatInterval: { seconds } };
}
