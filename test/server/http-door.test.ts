import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import type { TaskEngine } from "../../src/engine/task-engine.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { openHttpDoor } from "../../src/server/http-door.ts";
import { aTask, fakeEngine, TASK_ID } from "../rpc/fake-engine.ts";

const TOKEN = "a-token";

/** A door over an engine that can do so much. */
async function open(calls: Partial<TaskEngine>, token?: string) {
  const log = pino({ level: "silent" });
  const door = await openHttpDoor({ engine: fakeEngine(calls), host: "127.0.0.1", port: 0, token, log });
  return {
    door,
    url: `http://127.0.0.1:${door.port}`,
    [Symbol.asyncDispose]: () => door.close({ graceMs: 0 }),
  };
}

const SOME_TASK: Partial<TaskEngine> = {
  async getTask(taskId) {
    return aTask({ taskId });
  },
};

describe("the HTTP door", () => {
  for (const [name, transport] of [
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ] as const) {
    it(`serves ${name}`, async () => {
      await using server = await open(SOME_TASK);
      const client = createClient(TaskService, transport({ baseUrl: server.url, httpVersion: "1.1" }));
      assert.equal((await client.getTask({ taskId: TASK_ID })).task!.taskId, TASK_ID);
    });

    it(`wants its token of callers by ${name}`, async () => {
      await using server = await open(SOME_TASK, TOKEN);
      const client = createClient(TaskService, transport({ baseUrl: server.url, httpVersion: "1.1" }));
      await assert.rejects(client.getTask({ taskId: TASK_ID }), /bearer token/);
      const headers = { authorization: `Bearer ${TOKEN}` };
      assert.equal((await client.getTask({ taskId: TASK_ID }, { headers })).task!.taskId, TASK_ID);
    });
  }
});
