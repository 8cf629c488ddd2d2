import assert from "node:assert/strict";
import { connect } from "../../src/client/web.ts";
import type { FollowOptions, ReconnectNotice, SpoolEvent } from "../../src/client/web.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { range, Received, seqs } from "./follow/scripted-follow.ts";
import { failure, final, frame, progress, tape, TASK_ID, taskMessage } from "./scripted-server.ts";
import type { Script } from "./scripted-server.ts";
import { serveWebScript } from "./scripted-web-server.ts";

type StreamEvents = NonNullable<Script["streamEvents"]>;

/** Follows a task of a scripted server to the end, over Connect. */
async function follow(streamEvents: StreamEvents, options: FollowOptions & { received?: Received } = {}) {
  const { received = new Received(), ...followOptions } = options;
  await using server = await serveWebScript({ streamEvents });
  using client = connect({ url: server.url });
  for await (const event of client.follow({ taskId: TASK_ID }, followOptions)) received.push(event);
  return received.events;
}

describe("a follower over the web that loses its connection", () => {
  it("resumes after each event, wherever the stream breaks", async () => {
    const whole = tape(12);
    const asked: bigint[] = [];
    const events = await follow(async function* ({ fromSeq }) {
      asked.push(fromSeq);
      yield frame([]);
      yield frame(whole.slice(Number(fromSeq) - 1, Number(fromSeq)));
      if (fromSeq < 12n) throw failure("UNAVAILABLE", "cut", { reason: "STORE_UNAVAILABLE" });
    });
    assert.deepEqual(seqs(events), range(12));
    assert.deepEqual([...new Set(asked)], range(12));
  });

  it("reports the drained server and the resumed stream, and waits as long as RetryInfo says", async () => {
    const notices: ReconnectNotice[] = [];
    const received = new Received();
    const cutAt: number[] = [];
    const cameAt: number[] = [];
    await follow(
      async function* (_, { attempt }) {
        cameAt.push(performance.now());
        if (attempt > 1) return yield frame([final(3)]);
        yield frame([progress(1), progress(2)]);
        await received.until(2);
        cutAt.push(performance.now());
        throw failure("UNAVAILABLE", "going down", { reason: "DRAINING", retryAfterMs: 700 });
      },
      { received, onReconnect: (notice) => notices.push(notice) },
    );
    const [lost, resumed] = notices;
    assert.ok(notices.length === 2 && lost?.state === "lost" && resumed?.state === "resumed");
    assert.deepEqual([lost.error.reason, lost.nextFromSeq, resumed.nextFromSeq], ["DRAINING", 3n, 4n]);
    assert.ok(cameAt[1]! - cutAt[0]! >= 690, `came back after ${cameAt[1]! - cutAt[0]!} ms`);
  });

  it("resumes over cut and silent connections and a restarted server, with every event once and in order", async () => {
    const whole = tape(8);
    const script: { streamEvents: StreamEvents } = {
      async *streamEvents({ fromSeq }, { cancelled }) {
        // Two events for each connection.
        yield frame(whole.slice(Number(fromSeq) - 1, Number(fromSeq) + 1));
        if (fromSeq < 7n) await cancelled;
      },
    };
    await using servers = new AsyncDisposableStack();
    let server = servers.use(await serveWebScript(script));
    await using proxy = await startTcpProxy(() => server.address);
    using client = connect({ url: `http://${proxy.address}`, heartbeatMs: 60 });
    const lost: string[] = [];
    const onReconnect = (notice: ReconnectNotice) => notice.state === "lost" && lost.push(notice.error.message);
    const events: SpoolEvent[] = [];
    for await (const event of client.follow({ taskId: TASK_ID }, { onReconnect })) {
      events.push(event);
      if (event.seq === 2n) proxy.cut();
      if (event.seq === 4n) proxy.silence();
      if (event.seq !== 6n) continue;
      await server.stop();
      server = servers.use(await serveWebScript(script));
    }
    assert.deepEqual(seqs(events), range(8));
    const url = `http://${proxy.address}`.replaceAll(".", String.raw`\.`);
    assert.ok(lost.length >= 3);
    assert.match(lost.join("\n"), new RegExp(`^${url} cannot be reached \\(`, "m"));
    assert.match(lost.join("\n"), new RegExp(`^nothing came from ${url} for 150 ms$`, "m"));
  });

  it("ends its call at the server when its reader stops, when its signal fires, and when the client is closed", async () => {
    for (const end of ["break", "signal", "close"] as const) {
      const ended = Promise.withResolvers<void>();
      await using server = await serveWebScript({
        async *streamEvents(_, { cancelled }) {
          yield frame([progress(1)]);
          await cancelled;
          ended.resolve();
        },
      });
      using client = connect({ url: server.url });
      const caller = new AbortController();
      const read = async () => {
        for await (const _ of client.follow({ taskId: TASK_ID }, { signal: caller.signal })) {
          if (end === "break") break;
          if (end === "signal") caller.abort(new Error("enough"));
          else client.close();
        }
      };
      if (end === "break") await read();
      else await assert.rejects(read(), { message: end === "signal" ? "enough" : "the client is closed" });
      await ended.promise;
    }
  });

  it("does not treat a slow reader as a silent server, and detects a silent server after one", async () => {
    const read = Promise.withResolvers<void>();
    const notices: string[] = [];
    await using server = await serveWebScript({
      async *streamEvents(_, { attempt, cancelled }) {
        if (attempt > 1) return yield frame([final(3)]);
        yield frame([progress(1)]);
        await read.promise;
        yield frame([progress(2)]);
        await cancelled;
      },
    });
    using client = connect({ url: server.url, heartbeatMs: 100 });
    const onReconnect = ({ state }: ReconnectNotice) => notices.push(state);
    for await (const { seq } of client.follow({ taskId: TASK_ID }, { onReconnect })) {
      if (seq > 1n) continue;
      await new Promise((resolve) => setTimeout(resolve, 400)); // Longer than the server may be silent: the tested case.
      assert.deepEqual(notices, []);
      read.resolve();
    }
    assert.deepEqual(notices, ["lost", "resumed"]);
  });

  it("fails at once on an answer of the server that a retry does not change, with its details", async () => {
    await using server = await serveWebScript({
      getTask: () => {
        throw failure("NOT_FOUND", "no such task", { reason: "TASK_NOT_FOUND", metadata: { task_id: TASK_ID } });
      },
    });
    using client = connect({ url: server.url });
    const metadata = { task_id: TASK_ID };
    await assert.rejects(client.get({ taskId: TASK_ID }), { code: "NOT_FOUND", reason: "TASK_NOT_FOUND", metadata });
    assert.equal(server.calls["getTask"], 1);
  });

  it("repeats a call as the hint of a draining server says, and not during the wait of a fired signal", async () => {
    await using server = await serveWebScript({
      getTask: (_, { attempt }) => {
        if (attempt === 2) return { task: taskMessage() };
        throw failure("UNAVAILABLE", "it drains", { reason: "DRAINING", retryAfterMs: attempt === 1 ? 1 : 30_000 });
      },
    });
    using client = connect({ url: server.url });
    assert.equal((await client.get({ taskId: TASK_ID })).taskId, TASK_ID);
    const caller = new AbortController();
    const waiting = client.get({ taskId: TASK_ID }, { signal: caller.signal });
    const enough = new Error("enough");
    setTimeout(() => caller.abort(enough), 100);
    await assert.rejects(waiting, (error) => error === enough);
    assert.equal(server.calls["getTask"], 3);
  });
});
