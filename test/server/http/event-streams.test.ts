import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { StoreUnavailable, TaskNotFound } from "../../../src/domain/errors.ts";
import { FRAME_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TaskEngine } from "../../../src/engine/api/task-engine.ts";
import { FollowTasksResponseSchema, FollowView } from "../../../src/gen/spool/v1/task_service_pb.ts";
import type { FollowTasksRequest } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { eventStream } from "../../../src/server/http/event-streams.ts";
import { aLogEvent, aPage, TASK_ID } from "../../rpc/fake-engine.ts";
import { eventually } from "../../support/eventually.ts";
import { readEvents } from "../../support/server-sent-events.ts";
import { openTestListener, readRefusal, refusalOf } from "./open-http-listener.ts";

const PATH = `/v1/tasks/${TASK_ID}/events`;
const SEQ_MAX = 9_223_372_036_854_775_806n;

/** A finished tape of three events, read from anywhere. */
const FINISHED: Partial<TaskEngine> = {
  async *followTape({ fromSeq }) {
    const events = [1n, 2n, 3n].filter((seq) => seq >= fromSeq).map((seq) => aLogEvent(seq));
    const nextFromSeq = fromSeq > 4n ? fromSeq : 4n;
    yield aPage(events, { status: "succeeded", lastSeq: 3n, nextFromSeq });
  },
};

describe("a tape as server-sent events", () => {
  it("sends each event with its seq as id, its type and its JSON", async () => {
    await using server = await openTestListener(FINISHED);
    const response = await fetch(`${server.url}${PATH}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const events = await Array.fromAsync(readEvents(response));
    assert.deepEqual(
      events.map(({ id, event, data }) => [id, event, JSON.parse(data!)]),
      [1, 2, 3].map((seq) => [
        `${seq}`,
        "log",
        { seq: `${seq}`, time: "1970-01-01T00:00:03Z", log: { level: "LOG_LEVEL_INFO", message: `line ${seq}` } },
      ]),
    );
  });

  it("encodes a text with line ends on one line", async () => {
    const message = "a\nb\r\nc\rd\u2028e";
    await using server = await openTestListener({
      async *followTape() {
        yield aPage([aLogEvent(1, message)], { status: "succeeded" });
      },
    });
    const [event] = await Array.fromAsync(readEvents(await fetch(`${server.url}${PATH}`)));
    assert.equal((JSON.parse(event!.data!) as { log: { message: string } }).log.message, message);
  });

  it("starts at from_seq, or after Last-Event-ID, which takes precedence", async () => {
    await using server = await openTestListener(FINISHED);
    const ids = async (query: string, headers: Record<string, string> = {}) => {
      const events = await Array.fromAsync(readEvents(await fetch(`${server.url}${PATH}${query}`, { headers })));
      return events.map(({ id }) => id).join();
    };
    assert.equal(await ids(""), "1,2,3");
    assert.equal(await ids("?from_seq=0"), "1,2,3");
    assert.equal(await ids("?from_seq=2"), "2,3");
    assert.equal(await ids("", { "last-event-id": "0" }), "1,2,3");
    assert.equal(await ids("", { "last-event-id": "2" }), "3");
    assert.equal(await ids("?from_seq=1", { "last-event-id": "1" }), "2,3");
    assert.equal(await ids("?from_seq=", { "last-event-id": "" }), "1,2,3");
  });

  it("responds with 204 past the end of a finished tape, so that an EventSource stops", async () => {
    await using server = await openTestListener(FINISHED);
    for (const [query, last] of [
      ["", "3"],
      ["", `${SEQ_MAX}`],
      ["?from_seq=4", ""],
      [`?from_seq=${SEQ_MAX}`, ""],
    ] as const) {
      const response = await fetch(`${server.url}${PATH}${query}`, { headers: { "last-event-id": last } });
      assert.deepEqual([response.status, await response.text()], [204, ""]);
    }
  });

  it("refuses an invalid position, parameter or id and names the field", async () => {
    await using server = await openTestListener({});
    for (const [path, last, fields] of [
      [`${PATH}?from_seq=-1`, "", ["from_seq"]],
      [`${PATH}?from_seq=1.5`, "", ["from_seq"]],
      [`${PATH}?from_seq=${SEQ_MAX + 1n}`, "", ["from_seq"]],
      [`${PATH}?from_seq=1&from_seq=2`, "", ["from_seq"]],
      [PATH, "one", ["last-event-id"]],
      [PATH, `${SEQ_MAX + 1n}`, ["last-event-id"]],
      [`${PATH}?heartbeat_seconds=0`, "", ["heartbeat_seconds"]],
      [`${PATH}?heartbeat_seconds=61`, "", ["heartbeat_seconds"]],
      [`${PATH}?heartbeat_seconds=soon`, "", ["heartbeat_seconds"]],
      [`${PATH}?view=joined`, "", ["view"]],
      [`${PATH}?fromSeq=1`, "", ["fromSeq"]],
      [`${PATH}?token=a`, "", ["token"]],
      ["/v1/tasks/nonsense/events", "", ["task_id"]],
      ["/v1/tasks//events", "", ["task_id"]],
      [`${PATH}?from_seq=%ff`, "", []],
    ] as const) {
      const refusal = await refusalOf(await fetch(`${server.url}${path}`, { headers: { "last-event-id": last } }));
      assert.deepEqual([refusal.status, refusal.reason, refusal.fields], [400, "INVALID_ARGUMENT", fields], path);
    }
  });

  it("accepts a heartbeat interval in seconds", async () => {
    const asked: number[] = [];
    await using server = await openTestListener({
      async *followTape({ heartbeatMs }) {
        asked.push(heartbeatMs);
        yield aPage([]);
        yield aPage([], { status: "succeeded" });
      },
    });
    for (const query of ["", "?heartbeat_seconds=1", "?heartbeat_seconds=60"]) {
      // When to come back after a cut, then the heartbeat.
      const text = await (await fetch(`${server.url}${PATH}${query}`)).text();
      const [, retryMs] = /^retry: (\d+)\n\n:\n\n$/.exec(text) ?? [];
      assert.ok(Number(retryMs) >= 500 && Number(retryMs) <= 1_500, text);
    }
    assert.deepEqual(asked, [15_000, 1_000, 60_000]);
  });

  it("responds with an error like that of calls before the first event", async () => {
    await using server = await openTestListener({
      // eslint-disable-next-line require-yield
      async *followTape({ taskId }) {
        throw taskId === TASK_ID ? new TaskNotFound(taskId) : new StoreUnavailable("down");
      },
    });
    const missing = await refusalOf(await fetch(`${server.url}${PATH}`));
    assert.deepEqual([missing.status, missing.code, missing.reason], [404, "not_found", "TASK_NOT_FOUND"]);
    const response = await fetch(`${server.url}${PATH.replace("0", "1")}`);
    assert.equal(response.headers.get("retry-after"), "1");
    const down = await refusalOf(response);
    assert.deepEqual([down.status, down.code, down.reason], [503, "unavailable", "STORE_UNAVAILABLE"]);
  });

  it("sends an event with the error and a retry delay after the first event", async () => {
    await using server = await openTestListener({
      async *followTape() {
        yield aPage([aLogEvent(1)]);
        throw new StoreUnavailable("down");
      },
    });
    const events = await Array.fromAsync(readEvents(await fetch(`${server.url}${PATH}`)));
    assert.equal(events.length, 2);
    const { id, event, data, retry } = events[1]!;
    assert.deepEqual([id, event, retry], [undefined, "error", "1000"]);
    assert.equal(readRefusal(JSON.parse(data!)).reason, "STORE_UNAVAILABLE");
  });

  it("ends with DRAINING when the server closes, and releases its tape when the reader disconnects", async () => {
    let left = 0;
    await using server = await openTestListener({
      async *followTape(_query, signal) {
        try {
          yield aPage([aLogEvent(1)]);
          await once(signal, "abort");
          throw signal.reason;
        } finally {
          left++;
        }
      },
    });
    const leaving = new AbortController();
    const response = await fetch(`${server.url}${PATH}`, { signal: leaving.signal });
    assert.equal((await readEvents(response).next()).value!.id, "1");
    leaving.abort();
    await eventually(() => assert.equal(left, 1));

    const staying = readEvents(await fetch(`${server.url}${PATH}`));
    assert.equal((await staying.next()).value!.id, "1");
    const closed = server.endpoint.close({ graceMs: 60_000 });
    const { event, data } = (await staying.next()).value!;
    assert.deepEqual([event, readRefusal(JSON.parse(data!)).reason], ["error", "DRAINING"]);
    assert.equal((await staying.next()).done, true);
    await closed;
  });

  it("buffers no more for a stopped reader than its connection holds", async () => {
    const FRAMES_MAX = 400; // 100 MiB, of which a connection holds a few.
    let frames = 0;
    let isLeft = false;
    await using server = await openTestListener({
      async *followTape() {
        try {
          for (frames = 1; frames < FRAMES_MAX; frames++) {
            yield aPage([aLogEvent(frames, "x".repeat(FRAME_BYTES_MAX - 1_024))]);
          }
        } finally {
          isLeft = true;
        }
      },
    });
    const reader = connect(server.endpoint.port, "127.0.0.1").pause();
    reader.write(`GET ${PATH} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    let before = 0;
    await eventually(() => {
      const isSame = frames > 0 && frames === before;
      before = frames;
      assert.ok(isSame);
    });
    assert.ok(frames > 1 && frames < FRAMES_MAX / 2, `${frames} frames`);
    assert.equal(isLeft, false);
    reader.destroy();
    await eventually(() => assert.ok(isLeft));
  });

  it("requires the token in a header and ignores a token in the URL", async () => {
    await using server = await openTestListener(FINISHED, { token: "a-token" });
    for (const [query, headers] of [
      ["", {}],
      ["?token=a-token", {}],
      ["?access_token=a-token", {}],
      ["", { authorization: "Bearer a-tokem" }],
    ] as const) {
      const refusal = await refusalOf(await fetch(`${server.url}${PATH}${query}`, { headers }));
      assert.deepEqual([refusal.status, refusal.reason], [401, "UNAUTHENTICATED"]);
    }
    const headers = { authorization: "Bearer a-token" };
    assert.equal((await fetch(`${server.url}${PATH}`, { headers })).status, 200);
  });

  it("allows only GET", async () => {
    await using server = await openTestListener({});
    for (const method of ["POST", "DELETE", "HEAD"]) {
      const response = await fetch(`${server.url}${PATH}`, { method });
      assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET"]);
    }
    assert.equal((await fetch(`${server.url}/v1/tasks/${TASK_ID}`)).status, 404);
  });
});

describe("many tasks as server-sent events", () => {
  /** Asks, with a handler that notes what it was asked and gives some frames. */
  async function ask(query: string, headers: Record<string, string> = {}) {
    let asked: FollowTasksRequest | undefined;
    const { read } = eventStream(
      {
        streamEvents: () => assert.fail("another stream was asked for"),
        async *followTasks(request) {
          asked = request;
          yield create(FollowTasksResponseSchema, { nextCursor: "c1" });
          yield create(FollowTasksResponseSchema, { nextCursor: "c2", tasks: [{ taskId: TASK_ID, kind: "echo" }] });
        },
      },
      "/v1/events",
    )!;
    const request = { url: `/v1/events${query}`, headers } as Parameters<typeof read>[0];
    const context = { signal: new AbortController().signal, requestHeader: new Headers() };
    const texts = await Array.fromAsync(read(request, context));
    return { asked: asked!, texts };
  }

  it("sends each frame with its cursor as id, and only the id for an empty frame", async () => {
    const { texts } = await ask("");
    const data = JSON.stringify({ tasks: [{ taskId: TASK_ID, kind: "echo" }], nextCursor: "c2" });
    assert.deepEqual(texts, ["id: c1\n\n", `id: c2\nevent: tasks\ndata: ${data}\n\n`]);
  });

  it("uses the kinds, labels and view of its query and resumes after Last-Event-ID", async () => {
    const query = "?kind=a&kind=b&label=k=v=w&label=l=&cursor=c&from_start=true&view=tasks&heartbeat_seconds=5";
    const { asked } = await ask(query);
    assert.deepEqual([asked.kinds, asked.labels], [["a", "b"], { k: "v=w", l: "" }]);
    assert.deepEqual([asked.cursor, asked.fromStart, asked.view], ["c", true, FollowView.TASKS]);
    assert.equal(asked.heartbeatInterval!.seconds, 5n);
    assert.equal((await ask(query, { "last-event-id": "d" })).asked.cursor, "d");
    const { asked: plain } = await ask("");
    assert.deepEqual([plain.cursor, plain.fromStart, plain.view], ["", false, FollowView.EVENTS]);
    assert.equal(plain.heartbeatInterval, undefined);
  });

  it("refuses an unknown parameter and names it", async () => {
    for (const [query, field] of [
      ["?from_seq=1", "from_seq"],
      ["?label=a", "label"],
      ["?label==a", "label"],
      ["?label=a=1&label=a=2", "label"],
      ["?from_start=yes", "from_start"],
      ["?view=all", "view"],
      ["?view=toString", "view"],
      ["?heartbeat_seconds=61", "heartbeat_seconds"],
    ] as const) {
      await assert.rejects(ask(query), ({ violations }) => violations[0].field === field, query);
    }
  });
});
