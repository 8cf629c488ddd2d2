import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";

/** `buf curl` exits with eight times the gRPC code. */
const EXIT_FOR_CODE = 8;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** What buf prints of the fields that are looked at here. */
interface Answer {
  task?: { taskId: string };
  events?: { seq: string; final?: { result: unknown } }[];
  outcome?: string;
  status?: string;
  result?: unknown;
}

/** A session of `buf curl` over gRPC that learns the service by reflection alone: start, stream, result, cancel. */
export function bufCurlSession(address: string): void {
  const curl = (method: string, request: object): SpawnSyncReturns<string> => {
    const url = `http://${address}/spool.v1.TaskService/${method}`;
    const args = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", "-d", JSON.stringify(request), url];
    return spawnSync("buf", args, { encoding: "utf8" });
  };
  const call = (method: string, request: object): Answer[] => {
    const { status, stdout, stderr } = curl(method, request);
    assert.equal(status, 0, stderr);
    // A stream prints one JSON value after the other.
    return JSON.parse(`[${stdout.trim().replaceAll(/\}\s*\n?\s*\{(?=")/g, "},{")}]`) as Answer[];
  };

  const [started] = call("StartTask", { kind: "echo", params: { count: 3, delay_ms: 10 } });
  const { taskId } = started!.task!;
  const events = call("StreamEvents", { taskId }).flatMap((frame) => frame.events ?? []);
  assert.deepEqual(
    events.map(({ seq }) => seq),
    ["1", "2", "3", "4", "5", "6"],
  );
  assert.deepEqual(events.at(-1)!.final!.result, { echoed: 3 });
  console.log("buf curl: started through reflection, and streamed every event once, in order");

  const [result] = call("GetResult", { taskId });
  assert.deepEqual([result!.status, result!.result], ["TASK_STATUS_SUCCEEDED", { echoed: 3 }]);
  console.log("buf curl: the result");

  const [slow] = call("StartTask", { kind: "echo", params: { count: 1_000, delay_ms: 1_000 } });
  const early = curl("GetResult", { taskId: slow!.task!.taskId });
  assert.equal(early.status, FAILED_PRECONDITION * EXIT_FOR_CODE);
  const { details } = JSON.parse(early.stderr) as { details: { type: string; value: string }[] };
  const info = details.find(({ type }) => type === "google.rpc.ErrorInfo")!;
  assert.match(Buffer.from(info.value, "base64").toString(), /TASK_NOT_TERMINAL/);
  const [cancelled] = call("CancelTask", { taskId: slow!.task!.taskId });
  assert.equal(cancelled!.outcome, "CANCEL_OUTCOME_REQUESTED");
  const [ended] = call("GetResult", { taskId: slow!.task!.taskId, wait: "10s" });
  assert.equal(ended!.status, "TASK_STATUS_CANCELLED");
  console.log("buf curl: cancelled a running task");

  const unknown = curl("GetTask", { taskId: "01890a5d-ac96-774b-bcce-b302099a8057" });
  assert.equal(unknown.status, NOT_FOUND * EXIT_FOR_CODE);
  console.log("buf curl: an unknown task is NOT_FOUND");
}
