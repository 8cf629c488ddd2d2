import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { fromJson, toBinary } from "@bufbuild/protobuf";
import type { JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { pino } from "pino";
import { HTTP_LIST_BYTES_MAX, PARAMS_VALUES_MAX } from "../../src/domain/limits.ts";
import type { TaskEngine } from "../../src/engine/api/task-engine.ts";
import { ListTasksResponseSchema, TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { CallerLimits } from "../../src/rpc/call/caller-limits.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { fakeEngine, aTask, SOME_TASK, TASK_ID } from "../rpc/fake-engine.ts";
import { failureOf, RawClient } from "../rpc/raw-client.ts";
import { eventually } from "../support/eventually.ts";
import { openTestListener, refusalOf } from "./http/open-http-listener.ts";
import { oneEngine } from "../support/one-engine.ts";

const { startTask, getTask, listTasks, followTasks } = TaskService.method;

/** A gRPC port over an engine that can do so much, and two clients, each with a connection of its own. */
async function openGrpc(calls: Partial<TaskEngine>, options: Partial<Parameters<typeof openGrpcListener>[0]> = {}) {
  const log = pino({ level: "silent" });
  const endpoint = await openGrpcListener({
    engines: oneEngine(fakeEngine(calls)),
    host: "127.0.0.1",
    port: 0,
    log,
    ...options,
  });
  const clients = [new RawClient(endpoint.port), new RawClient(endpoint.port)] as const;
  return {
    clients,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await endpoint.close({ graceMs: 0 });
    },
  };
}

/** Lists that are answered when they are let, and how many of them are under way. */
function heldLists() {
  const release = Promise.withResolvers<void>();
  const state = { underWay: 0, most: 0 };
  const calls: Partial<TaskEngine> = {
    ...SOME_TASK,
    async listTasks() {
      state.most = Math.max(state.most, ++state.underWay);
      await release.promise;
      state.underWay--;
      return { tasks: [aTask()], progress: new Map(), hasMore: false };
    },
  };
  return { calls, state, release: release.resolve };
}

/** Streams over many tasks that give one empty page. */
const FOLLOWS: Partial<TaskEngine> = {
  async *followTasks({ cursor }, signal) {
    const seen = { xmin: 1n, xmax: 1n, running: [], at: new Date(0), timeline: 1, isReplicated: false };
    const at = { generation: 0, seen };
    yield { tasks: [], cursor: cursor ?? { ...at, round: null }, ...at, target: seen };
    await once(signal, "abort");
    throw signal.reason;
  },
};

const UNFINISHED = "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";

describe("an excessive caller", () => {
  it("gets few large lists at a time and is refused past the queue limit", async () => {
    const { calls, state, release } = heldLists();
    const limits = new CallerLimits({ waitingReads: 5 });
    await using server = await openGrpc(calls, { limits });
    const [rude, other] = server.clients;
    const lists = Array.from({ length: 20 }, () => rude.unary(listTasks, { pageSize: 1_000 }).catch(failed));
    const refused = await Promise.race(lists);
    assert.deepEqual(refused, { code: Code.ResourceExhausted, reason: "OVERLOADED", retryMs: 250 });
    // Another connection has its own place in the queue, and what is cheap waits for nothing.
    const others = other.unary(listTasks, { pageSize: 1_000 });
    assert.equal((await other.unary(getTask, { taskId: TASK_ID })).task!.taskId, TASK_ID);
    release();
    assert.equal((await others).tasks.length, 1);
    const answers = await Promise.all(lists);
    assert.equal(state.most, 1);
    assert.equal(answers.filter((answer) => "tasks" in answer).length, 6);
  });

  it("gets shorter pages at the HTTP port and each task once", async () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`label-${index}`, "v".repeat(40)]));
    const all = Array.from({ length: 1_000 }, (_, index) => {
      const number = (1_000 - index).toString(16).padStart(12, "0");
      return aTask({ taskId: `01890a5d-ac96-774b-bcce-${number}`, labels });
    });
    await using server = await openTestListener({
      async listTasks({ limit, beforeTaskId }) {
        const left = all.filter(({ taskId }) => beforeTaskId === null || taskId < beforeTaskId);
        return { tasks: left.slice(0, limit), progress: new Map(), hasMore: left.length > limit };
      },
    });
    const seen: string[] = [];
    const sizes: number[] = [];
    for (let pageToken = ""; ;) {
      const response = await server.call("ListTasks", { pageSize: 1_000, pageToken });
      const page = fromJson(ListTasksResponseSchema, (await response.json()) as JsonValue);
      seen.push(...page.tasks.map(({ taskId }) => taskId));
      sizes.push(toBinary(ListTasksResponseSchema, page).length);
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    assert.deepEqual(
      seen,
      all.map(({ taskId }) => taskId),
    );
    assert.ok(sizes.length > 1);
    const besides = 1_024; // The token.
    assert.ok(Math.max(...sizes) <= HTTP_LIST_BYTES_MAX + besides, `${sizes.join(" ")} bytes`);
  });

  it("may open a limited number of FollowTasks streams, without effect on other connections", async () => {
    await using server = await openGrpc(FOLLOWS, { limits: new CallerLimits({ followsPerConnection: 2 }) });
    const [rude, other] = server.clients;
    const open = (client: RawClient) => client.stream(followTasks, {});
    const streams = [open(rude), open(rude)];
    await Promise.all(streams.map((stream) => once(stream, "data")));
    const refused = await failureOf(open(rude));
    assert.deepEqual([refused.code, refused.reason, refused.retryMs], [Code.ResourceExhausted, "OVERLOADED", 250]);
    const others = open(other);
    await once(others, "data");
    const left = failureOf(streams[0]!);
    streams[0]!.cancel();
    await left;
    // The server hears of it after the client.
    for (;;) {
      const again = open(rude);
      const outcome = await Promise.race([
        once(again, "data").then(() => "open"),
        failureOf(again).then(() => "refused"),
      ]);
      again.cancel();
      if (outcome === "open") break;
    }
    others.cancel();
  });

  it("may have a limited number of open requests on an HTTP/1.1 connection", async () => {
    const release = Promise.withResolvers<void>();
    let calls = 0;
    await using server = await openTestListener(
      {
        async getTask(taskId) {
          calls++;
          await release.promise;
          return aTask({ taskId });
        },
      },
      { streamsPerConnection: 2 },
    );
    const socket = connect(server.endpoint.port, "127.0.0.1");
    const body = JSON.stringify({ taskId: TASK_ID });
    const request = (connection: string) =>
      `POST /spool.v1.TaskService/GetTask HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `connection: ${connection}\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    socket.write(request("keep-alive").repeat(4) + request("close"));
    await eventually(() => assert.equal(calls, 2));
    release.resolve();
    const answers = Buffer.concat((await socket.toArray()) as Buffer[]).toString();
    const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ["200", "200", "429", "429", "429"]);
    assert.match(answers, /OVERLOADED/);
    assert.equal(calls, 2);
  });

  for (const [name, body] of [
    ["many objects", `{"kind":"nokind","params":{"a":[${"{},".repeat(1_390_000)}{}]}}`],
    ["open lists", "[".repeat(1_000_000)],
    [
      "many labels",
      JSON.stringify({
        kind: "k",
        labels: Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`k${i}`, ""])),
      }),
    ],
  ] as const) {
    it(`is refused at the HTTP port before its request is decoded: ${name}`, async () => {
      await using server = await openTestListener({});
      const headers = { "content-type": "application/json" };
      const url = `${server.url}/spool.v1.TaskService/StartTask`;
      const refusal = await refusalOf(await fetch(url, { method: "POST", headers, body }));
      assert.deepEqual([refusal.code, refusal.reason], ["invalid_argument", "INVALID_ARGUMENT"]);
      assert.match(refusal.message, /at most 20,000 values|more than 21,000 entries/);
    });
  }

  it("is refused at the gRPC port before its request is decoded, and accepted at the bound", async () => {
    const started: number[] = [];
    await using server = await openGrpc({
      async startTask({ params }) {
        started.push((params["a"] as unknown[]).length);
        return { task: aTask(), alreadyStarted: false };
      },
    });
    const [client] = server.clients;
    const start = (values: number) =>
      client.unary(startTask, { kind: "k", params: { a: Array.from({ length: values }, () => null) } });
    await start(PARAMS_VALUES_MAX - 2); // The object and the list are values too.
    for (const values of [PARAMS_VALUES_MAX - 1, 5 * PARAMS_VALUES_MAX]) {
      const refused = await failureOf(start(values));
      assert.deepEqual([refused.reason, refused.violations[0]!.field], ["INVALID_ARGUMENT", "params"]);
      assert.match(refused.violations[0]!.description, /at most 20,000 values/);
    }
    assert.deepEqual(started, [PARAMS_VALUES_MAX - 2]);
  });

  it("is refused if an integer of its JSON would be rounded, in a body and in a query", async () => {
    await using server = await openTestListener({});
    const text = `{"taskId":"${TASK_ID}","fromSeq":9007199254740993}`;
    const url = `${server.url}/spool.v1.TaskService/GetEvents`;
    const headers = { "content-type": "application/json" };
    for (const response of [
      await fetch(url, { method: "POST", headers, body: text }),
      await fetch(`${url}?encoding=json&message=${encodeURIComponent(text)}`),
    ]) {
      const refusal = await refusalOf(response);
      assert.deepEqual([refusal.reason, refusal.fields], ["INVALID_ARGUMENT", ["from_seq"]]);
    }
  });

  for (const path of ["/spool.v1.TaskService/StartTask", "/v1/events", "/metrics"]) {
    it(`without the token gets its connection closed even if its body arrives slowly: ${path}`, async () => {
      await using server = await openTestListener({}, { token: "a-token" });
      const socket = connect(server.endpoint.port, "127.0.0.1");
      const method = path.startsWith("/spool") ? "POST" : "GET";
      socket.write(
        `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`,
      );
      const answer = Buffer.concat((await socket.toArray()) as Buffer[]).toString(); // It ends when the server closes.
      assert.match(answer, /^HTTP\/1\.1 401/);
      assert.match(answer, /connection: close/i);
    });
  }

  it("gets an error if the envelope of gRPC-Web has a wrong length", async () => {
    await using server = await openTestListener(SOME_TASK);
    const response = await fetch(`${server.url}/spool.v1.TaskService/GetTask`, {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto" },
      body: Uint8Array.of(0, 0, 0, 0, 100, 10, 1),
    });
    const answer = `${JSON.stringify([...response.headers])} ${await response.text()}`;
    assert.match(decodeURIComponent(answer), /envelope announces 100 bytes/);
  });

  for (const [what, begun, statuses] of [
    ["headers of a request", "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n", /^HTTP\/1\.1 408/],
    ["level of the log", `PUT /log-level HTTP/1.1\r\n${UNFINISHED}`, /^HTTP\/1\.1 408/],
    ["request of a call", `POST /spool.v1.TaskService/StartTask HTTP/1.1\r\n${UNFINISHED}`, /^HTTP\/1\.1 (408|504)/],
  ] as const) {
    it(`gets its connection closed if it does not send everything in time: the ${what}`, async () => {
      await using server = await openTestListener({}, { requestTimeoutMs: 100 });
      const socket = connect(server.endpoint.port, "127.0.0.1");
      socket.write(begun);
      const answer = Buffer.concat((await socket.toArray()) as Buffer[]).toString(); // It ends when the server closes.
      assert.match(answer, statuses);
    });
  }
});

async function failed(error: unknown) {
  const { code, reason, retryMs } = await failureOf(Promise.reject(error as Error));
  return { code, reason, retryMs };
}
