import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect } from "../../src/client/client.ts";
import type { ReconnectNotice, SpoolEvent } from "../../src/client/client.ts";
import { follow, range, Received, seqs } from "./follow/scripted-follow.ts";
import {
  failure,
  final,
  frame,
  openWire,
  progress,
  serveScript,
  tape,
  TASK_ID,
  taskMessage,
} from "./scripted-server.ts";
import type { Script } from "./scripted-server.ts";

describe("a follower that loses its connection", () => {
  it("resumes after each event, wherever the stream breaks", async () => {
    const whole = tape(12);
    const asked: bigint[] = [];
    const events = await follow(async function* ({ fromSeq }) {
      asked.push(fromSeq);
      yield frame([]);
      yield frame(whole.slice(Number(fromSeq) - 1, Number(fromSeq)));
      if (fromSeq < 12n) throw failure("UNAVAILABLE", "cut");
    });
    assert.deepEqual(seqs(events), range(12));
    assert.deepEqual([...new Set(asked)], range(12));
  });

  it("reports the lost connection and the resumed stream", async () => {
    const notices: ReconnectNotice[] = [];
    const received = new Received();
    await follow(
      async function* (_, { attempt }) {
        if (attempt > 1) return yield frame([final(3)]);
        yield frame([progress(1), progress(2)]);
        await received.until(2);
        throw failure("UNAVAILABLE", "going down", { reason: "DRAINING", retryAfterMs: 1 });
      },
      { received, onReconnect: (notice) => notices.push(notice) },
    );
    const [lost, resumed] = notices;
    assert.equal(notices.length, 2);
    assert.ok(lost?.state === "lost" && resumed?.state === "resumed");
    assert.equal(lost.error.reason, "DRAINING");
    assert.equal(lost.nextFromSeq, 3n);
    assert.equal(resumed.nextFromSeq, 4n);
  });

  it("waits as long as RetryInfo says", async () => {
    const cutAt: number[] = [];
    const cameAt: number[] = [];
    await follow(async function* (_, { attempt }) {
      cameAt.push(performance.now());
      yield frame([]);
      if (attempt === 2) return yield frame([final(1)]);
      cutAt.push(performance.now());
      throw failure("UNAVAILABLE", "later", { retryAfterMs: 700 });
    });
    assert.ok(cameAt[1]! - cutAt[0]! >= 690, `came back after ${cameAt[1]! - cutAt[0]!} ms`);
  });

  it("reconnects to a server that restarted on its port", async () => {
    const whole = tape(6);
    const first = await serveScript({
      async *streamEvents(_, { cancelled }) {
        yield frame(whole.slice(0, 3));
        await cancelled;
      },
    });
    using client = connect({ address: first.address });
    const events: SpoolEvent[] = [];
    await using servers = new AsyncDisposableStack();
    servers.use(first);
    for await (const next of client.follow({ taskId: TASK_ID })) {
      events.push(next);
      if (next.seq !== 3n) continue;
      await first.stop();
      const second: Script = {
        async *streamEvents({ fromSeq }) {
          yield frame(whole.slice(Number(fromSeq) - 1));
        },
      };
      servers.use(await serveScript(second, first.port));
    }
    assert.deepEqual(seqs(events), range(6));
  });

  it("treats a silent connection as lost and opens a new one", async () => {
    const whole = tape(5);
    await using server = await serveScript({
      async *streamEvents({ fromSeq }, { cancelled }) {
        yield frame(whole.slice(Number(fromSeq) - 1, Number(fromSeq) + 1));
        if (fromSeq > 1n) return yield frame(whole.slice(Number(fromSeq) + 1));
        await cancelled;
      },
    });
    await using wire = await openWire(server.port);
    using client = connect({ address: wire.address, heartbeatMs: 60 });
    const lost: string[] = [];
    const onReconnect = (notice: ReconnectNotice) => notice.state === "lost" && lost.push(notice.error.message);
    const events: SpoolEvent[] = [];
    for await (const next of client.follow({ taskId: TASK_ID }, { onReconnect })) {
      events.push(next);
      if (next.seq === 2n) wire.goSilent();
    }
    assert.deepEqual(seqs(events), range(5));
    assert.equal(wire.connections, 2);
    assert.match(lost[0]!, /nothing came from 127\.0\.0\.1:\d+ for 150 ms/);
  });

  it("does not affect other streams of its client when its stream is silent", async () => {
    const bothThere = Promise.withResolvers<void>();
    const silentIsBack = Promise.withResolvers<void>();
    await using server = await serveScript({
      async *streamEvents({ fromSeq, taskId }, { attempt, cancelled }) {
        yield frame([progress(Number(fromSeq))]);
        if (attempt === 2) bothThere.resolve();
        if (taskId === "steady") {
          for (let beat = 0; beat < 100 && attempt <= 2; beat++) {
            const back = await Promise.race([silentIsBack.promise.then(() => true), tick(20)]);
            if (back) return yield frame([final(2)]);
            yield frame([]);
          }
        }
        await bothThere.promise;
        if (attempt <= 2) return await cancelled;
        silentIsBack.resolve();
        yield frame([final(Number(fromSeq) + 1)]);
      },
    });
    using client = connect({ address: server.address, heartbeatMs: 100 });
    const reconnects: string[] = [];
    const [steady, silent] = await Promise.all(
      ["steady", "silent"].map((taskId) =>
        Array.fromAsync(
          client.follow({ taskId }, { onReconnect: ({ state }) => reconnects.push(`${taskId} ${state}`) }),
        ),
      ),
    );
    assert.deepEqual([seqs(steady!), seqs(silent!)], [range(2), range(3)]);
    assert.deepEqual(reconnects, ["silent lost", "silent resumed"]);
  });

  it("stays connected while its server drains, although other calls of its client use another server", async () => {
    const isStarted = Promise.withResolvers<void>();
    await using server = await serveScript({
      startTask(_, { attempt }) {
        if (attempt === 1) throw failure("UNAVAILABLE", "it drains", { reason: "DRAINING", retryAfterMs: 1 });
        return { task: taskMessage() };
      },
      async *streamEvents() {
        yield frame([progress(1)]);
        await isStarted.promise;
        yield frame([final(2)]);
      },
    });
    await using wire = await openWire(server.port);
    using client = connect({ address: wire.address });
    const onReconnect = () => assert.fail("the connection was not lost");
    const events: SpoolEvent[] = [];
    for await (const next of client.follow({ taskId: TASK_ID }, { onReconnect })) {
      events.push(next);
      if (next.seq > 1n) continue;
      await client.start({ kind: "echo" });
      assert.deepEqual([server.calls["startTask"], wire.connections], [2, 2]);
      isStarted.resolve();
    }
    assert.deepEqual(seqs(events), range(2));
  });

  it("does not treat a slow reader as a silent server", async () => {
    const read = Promise.withResolvers<void>();
    await using server = await serveScript({
      async *streamEvents() {
        yield frame([progress(1)]);
        await read.promise;
        yield frame([final(2)]);
      },
    });
    using client = connect({ address: server.address, heartbeatMs: 100 });
    const onReconnect = () => assert.fail("the connection was not lost");
    for await (const _ of client.follow({ taskId: TASK_ID }, { onReconnect })) {
      await tick(400); // Longer than the server may be silent: this is the tested case.
      read.resolve();
    }
  });

  it("detects a silent server after a slow reader", async () => {
    const notices: string[] = [];
    await using server = await serveScript({
      async *streamEvents(_, { attempt, cancelled }) {
        if (attempt > 1) return yield frame([final(2)]);
        yield frame([progress(1)]);
        await cancelled;
      },
    });
    using client = connect({ address: server.address, heartbeatMs: 40 });
    const onReconnect = ({ state }: ReconnectNotice) => notices.push(state);
    for await (const _ of client.follow({ taskId: TASK_ID }, { onReconnect })) await tick(150);
    assert.deepEqual(notices, ["lost", "resumed"]);
  });

  it("reconnects after a reset without a status", async () => {
    // A proxy resets a stream when it gives up, which grpc-js reports as an INTERNAL error.
    let opened = 0;
    const proxy = createServer();
    using _closed = { [Symbol.dispose]: () => proxy.close() };
    proxy.on("stream", (stream) => {
      opened++;
      stream.on("error", () => {});
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.close(opened % 2 === 0 ? 8 : 2);
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    using client = connect({ address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`, retryMs: 500 });
    await assert.rejects(Array.fromAsync(client.follow({ taskId: TASK_ID })), { code: "UNAVAILABLE" });
    assert.ok(opened >= 2);
  });

  it("gives up after retryMs without progress, even if streams send a first frame", async () => {
    let attempts = 0;
    const following = follow(
      async function* (_, { attempt }) {
        attempts = attempt;
        yield frame([]);
        throw failure("UNAVAILABLE", "not today");
      },
      { retryMs: 400 },
    );
    await assert.rejects(following, { code: "UNAVAILABLE", message: "not today" });
    assert.ok(attempts >= 2);
  });

  it("counts a heartbeat as progress", async () => {
    let cut = Promise.withResolvers<void>();
    await using server = await serveScript({
      async *streamEvents(_, { attempt }) {
        yield frame([]);
        yield frame(attempt > 6 ? [final(1)] : []);
        await cut.promise;
        cut = Promise.withResolvers();
        throw failure("UNAVAILABLE", "cut");
      },
    });
    using client = connect({ address: server.address, retryMs: 120 }); // Enough for one cut, not for six in a row.
    let frames = 0;
    for await (const _ of client.followFrames({ taskId: TASK_ID })) if (++frames % 2 === 0) cut.resolve();
    assert.equal(frames, 14);
  });

  it("does not retry if retryMs is 0", async () => {
    const following = follow(
      async function* () {
        yield frame([]);
        throw failure("UNAVAILABLE", "no");
      },
      { retryMs: 0 },
    );
    await assert.rejects(following, { code: "UNAVAILABLE" });
  });

  it("throws the caller's reason during the wait before a reconnect", async () => {
    const caller = new AbortController();
    const following = follow(
      async function* () {
        yield frame([]);
        throw failure("UNAVAILABLE", "later", { retryAfterMs: 30_000 });
      },
      { signal: caller.signal, onReconnect: () => queueMicrotask(() => caller.abort(new Error("enough"))) },
    );
    await assert.rejects(following, /enough/);
  });
});

function tick(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(resolve, ms, false));
}
