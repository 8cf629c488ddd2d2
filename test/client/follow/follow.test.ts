import assert from "node:assert/strict";
import { connect, SpoolRpcError } from "../../../src/client/client.ts";
import { EventView, SeriesMode } from "../../../src/gen/spool/v1/event_pb.ts";
import { TaskStatus } from "../../../src/gen/spool/v1/task_pb.ts";
import { follow, range, Received, seqs } from "./scripted-follow.ts";
import { event, failure, final, frame, log, progress, serveScript, TASK_ID } from "../scripted-server.ts";

describe("a follower", () => {
  it("yields every event as a plain object and ends after final", async () => {
    const events = await follow(async function* () {
      yield frame([]);
      yield frame([
        event(1, { case: "started", value: { kind: "echo", attempt: 1 } }),
        event(2, { case: "progress", value: { phase: "p", current: 1n, total: 2n, detail: { step: 1 } } }),
        log(3, "hello"),
        event(4, { case: "partial", value: { kind: "item", payload: { n: null } } }),
      ]);
      yield frame([event(5, { case: "cancelRequested", value: { reason: "" } }), final(6)]);
    });
    const bodies = events.map(({ seq, time, ...body }) => (assert.ok(time instanceof Date), [seq, body]));
    assert.deepEqual(bodies, [
      [1n, { type: "started", kind: "echo", attempt: 1 }],
      [2n, { type: "progress", phase: "p", current: 1, total: 2, detail: { step: 1 } }],
      [3n, { type: "log", level: "INFO", message: "hello" }],
      [4n, { type: "partial", kind: "item", payload: { n: null } }],
      [5n, { type: "cancel_requested", reason: "" }],
      [6n, { type: "final", status: "succeeded", result: { echoed: 6 } }],
    ]);
  });

  it("yields an event of an unknown type as unknown, and keeps its position", async () => {
    const events = await follow(async function* () {
      yield frame([progress(1), event(2, { case: undefined }), final(3)]);
    });
    assert.deepEqual(
      events.map(({ type }) => type),
      ["progress", "unknown", "final"],
    );
  });

  it("reads the folded view: an event counts for all its seqs, also after a reconnect", async () => {
    const series = { name: "answer", mode: SeriesMode.APPEND, field: "text" };
    const folded = (first: number, last: number, text: string) => {
      const covers = { firstSeq: BigInt(first), lastSeq: BigInt(last), count: BigInt(last - first + 1) };
      const part = { ...covers, partial: { kind: "delta", payload: { text }, series } };
      return event(last, { case: "folded", value: { firstSeq: BigInt(first), parts: [part] } });
    };
    const asked: [bigint, EventView][] = [];
    const events = await follow(
      async function* ({ fromSeq, view }) {
        asked.push([fromSeq, view]);
        if (asked.length > 1) return yield frame([folded(6, 8, "o"), final(9)]);
        yield frame([progress(1), folded(2, 5, "Toky")]);
        throw failure("UNAVAILABLE", "cut");
      },
      { view: "folded" },
    );
    assert.deepEqual(asked, [
      [1n, EventView.FOLDED],
      [6n, EventView.FOLDED],
    ]);
    assert.deepEqual(seqs(events), [1n, 5n, 8n, 9n]);
    const { time, ...rest } = events[1]!;
    assert.ok(time instanceof Date);
    const append = { name: "answer", mode: "append", field: "text" };
    const part = { kind: "delta", payload: { text: "Toky" }, series: append, count: 4, firstSeq: 2n, lastSeq: 5n };
    assert.deepEqual(rest, { seq: 5n, type: "folded", firstSeq: 2n, parts: [part] });
  });

  it("throws DATA_LOSS for a folded event that does not begin at the next seq", async () => {
    for (const [first, fault] of [
      [1n, /repeats event 1/],
      [3n, /skips to event 3/],
    ] as const) {
      const following = follow(async function* () {
        yield frame([progress(1), event(4, { case: "folded", value: { firstSeq: first, parts: [] } }), final(5)]);
      });
      await assert.rejects(following, { code: "DATA_LOSS", message: fault });
    }
  });

  it("ends without an event past the end of a finished tape", async () => {
    const past = { events: [], nextFromSeq: 99n, lastSeq: 5n, status: TaskStatus.SUCCEEDED };
    const events = await follow(
      async function* () {
        yield past;
      },
      { fromSeq: 99n },
    );
    assert.deepEqual(events, []);
  });

  it("throws at once if the server rejects its position, also on a resumed stream", async () => {
    const refusal = { code: "OUT_OF_RANGE", message: /whose last event is 4/ };
    const message = "from_seq 99 is past the end, whose last event is 4";
    for (const attempts of [1, 2]) {
      let opened = 0;
      const following = follow(async function* () {
        if (++opened === attempts) throw failure("OUT_OF_RANGE", message);
        yield frame([progress(1)]);
        throw failure("UNAVAILABLE", "cut");
      });
      await assert.rejects(following, refusal);
      assert.equal(opened, attempts);
    }
  });

  it("ends after final even if the server continues with heartbeats", async () => {
    const events = await follow(async function* (_, { cancelled }) {
      yield frame([final(1)]);
      yield { ...frame([]), lastSeq: 1n };
      await cancelled;
    });
    assert.deepEqual(seqs(events), range(1));
  });

  it("ends normally if the connection is lost after final", async () => {
    const received = new Received();
    await follow(
      async function* (_, { attempt }) {
        assert.equal(attempt, 1);
        yield frame([final(1)]);
        await received.until(1);
        throw failure("UNAVAILABLE", "cut");
      },
      { received, onReconnect: () => assert.fail("came back to a tape that had ended") },
    );
    assert.deepEqual(seqs(received.events), range(1));
  });

  it("requests seq 1 for 0, and sends its heartbeat interval and the token", async () => {
    let seen: unknown;
    await follow(
      async function* (request, { metadata }) {
        const { taskId, fromSeq, heartbeatInterval } = request;
        seen = [taskId, fromSeq, heartbeatInterval?.seconds, metadata.get("authorization")];
        yield frame([final(1)]);
      },
      { fromSeq: 0n, connect: { token: "s3cret", heartbeatMs: 7_000 } },
    );
    assert.deepEqual(seen, [TASK_ID, 1n, 7n, ["Bearer s3cret"]]);
  });

  it("throws at once if a reconnect would not help", async () => {
    let attempts = 0;
    const following = follow(async function* (_, { attempt }) {
      attempts = attempt;
      yield frame([progress(1)]);
      throw failure("NOT_FOUND", "there is no such task", { reason: "TASK_NOT_FOUND" });
    });
    await assert.rejects(following, { code: "NOT_FOUND", reason: "TASK_NOT_FOUND" });
    assert.equal(attempts, 1);
  });

  for (const [fault, second] of [
    ["repeats an event", [progress(2), final(3)]],
    ["skips an event", [progress(4), final(5)]],
    ["continues after final", [final(3), progress(4)]],
  ] as const) {
    it(`rejects a server that ${fault} after a reconnect`, async () => {
      const received = new Received();
      const following = follow(
        async function* (_, { attempt }) {
          if (attempt > 1) return yield frame([...second]);
          yield frame([progress(1), progress(2)]);
          await received.until(2);
          throw failure("UNAVAILABLE", "cut");
        },
        { received },
      );
      await assert.rejects(following, { code: "DATA_LOSS" });
      assert.deepEqual(seqs(received.events), range(2));
    });
  }

  it("rejects a stream that ends without final", async () => {
    const following = follow(async function* () {
      yield frame([progress(1)]);
    });
    await assert.rejects(following, (error: SpoolRpcError) => {
      assert.equal(error.code, "DATA_LOSS");
      assert.match(error.message, /ended without final before event 2/);
      return true;
    });
  });

  it("throws the caller's reason and cancels the call when the caller aborts", async () => {
    const told = Promise.withResolvers<void>();
    const caller = new AbortController();
    const leaving = new Error("leaving");
    const following = follow(
      async function* (_, { cancelled }) {
        yield frame([progress(1)]);
        await cancelled;
        told.resolve();
      },
      { signal: caller.signal, onEvent: () => caller.abort(leaving) },
    );
    await assert.rejects(following, leaving);
    await told.promise;
  });

  it("cancels the call when the reader stops reading", async () => {
    const told = Promise.withResolvers<void>();
    await using server = await serveScript({
      async *streamEvents(_, { cancelled }) {
        yield frame([progress(1)]);
        await cancelled;
        told.resolve();
      },
    });
    using client = connect({ address: server.address });
    for await (const _ of client.follow({ taskId: TASK_ID })) break;
    await told.promise;
  });

  it("ends with an error when its client is closed", async () => {
    await using server = await serveScript({
      async *streamEvents(_, { cancelled }) {
        yield frame([progress(1)]);
        await cancelled;
      },
    });
    const client = connect({ address: server.address });
    const following = (async () => {
      for await (const _ of client.follow({ taskId: TASK_ID })) client.close();
    })();
    await assert.rejects(following, /the client is closed/);
    await assert.rejects(client.get({ taskId: TASK_ID }), /the client is closed/);
  });
});
