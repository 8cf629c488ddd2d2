import assert from "node:assert/strict";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { aLogEvent, aPage, aTask, TASK_ID } from "../rpc/fake-engine.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import { openTestListener } from "./http/open-http-listener.ts";

const ENGINE: Partial<TaskEngine> = {
  startTask: async () => ({ task: aTask(), alreadyStarted: false }),
  async *followTape() {
    yield aPage([aLogEvent(1)], { status: "succeeded" });
  },
};

const STREAMS = TaskService.methods.filter(({ methodKind }) => methodKind === "server_streaming");

describe("a streamed response of the HTTP endpoint", () => {
  const assertUnbuffered = ({ status, headers }: Response, what: string) => {
    assert.equal(status, 200, what);
    assert.equal(headers.get("x-accel-buffering"), "no", what);
    assert.equal(headers.get("cache-control"), "no-store, no-transform", what);
  };

  for (const type of ["connect+json", "connect+proto", "grpc-web+proto", "grpc-web"]) {
    it(`tells proxies not to buffer, cache or transform it (${type})`, async () => {
      await using server = await openTestListener(ENGINE);
      assert.deepEqual(
        STREAMS.map(({ name }) => name),
        ["RunTask", "StreamEvents", "FollowTasks"],
      );
      for (const { name } of STREAMS) {
        // A request that is refused is answered by a stream too.
        for (const body of [type.endsWith("json") ? frame(`{"taskId": "${TASK_ID}"}`) : frame(""), frame("{")]) {
          const response = await fetch(`${server.url}/${TaskService.typeName}/${name}`, {
            method: "POST",
            headers: { "content-type": `application/${type}` },
            body,
          });
          assertUnbuffered(response, name);
          await response.body!.cancel();
        }
      }
    });
  }

  it("tells proxies not to buffer, cache or transform it (server-sent events)", async () => {
    await using server = await openTestListener(ENGINE);
    const response = await fetch(`${server.url}/v1/tasks/${TASK_ID}/events`);
    assertUnbuffered(response, "a tape");
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    await response.body!.cancel();
  });
});

function frame(text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}
