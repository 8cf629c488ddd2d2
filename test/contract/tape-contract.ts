import assert from "node:assert/strict";
import { Code } from "@connectrpc/connect";
import { EndpointError } from "./endpoint.ts";
import type { Endpoint, EndpointEvent } from "./endpoint.ts";

/** What docs/guarantees.md promises of a tape, at every endpoint. */
export function tapeContract(endpoint: () => Endpoint): void {
  it("a tape has every event of a succeeded task, numbered 1, 2, 3, …, with final at the end", async () => {
    const { task } = await endpoint().start({ kind: "echo", params: { count: 5 } });
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(
      tape.map(({ type }) => type),
      ["started", ...Array<string>(5).fill("progress"), "partial", "final"],
    );
    assertGapless(tape);
    assert.deepEqual(tape[0]!.body, { kind: "echo", attempt: 1 });
    assert.deepEqual(tape[3]!.body, { phase: "echo", current: 3, total: 5, detail: { step: 3 } });
    assert.deepEqual(tape[6]!.body, { kind: "echo_done", payload: { count: 5 } });
    assert.deepEqual(tape[7]!.body, { status: "succeeded", result: { echoed: 5 } });
  });

  it("a follower receives each event while the task runs, and its stream ends after final", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const running = await actor.enter();
    const follower = endpoint().follow({ taskId: task.taskId })[Symbol.asyncIterator]();
    assert.equal((await next(follower)).type, "started");
    for (let step = 1; step <= 3; step++) {
      await running.progress("step", step);
      assert.equal((await next(follower)).body["current"], step);
    }
    actor.leave();
    assert.equal((await next(follower)).type, "final");
    assert.equal((await follower.next()).done, true);
  });

  it("a follower that reconnects receives exactly the events that it missed", async () => {
    const { task } = await endpoint().start({ kind: "echo", params: { count: 5 } });
    const seen = await collect(take(2, endpoint().follow({ taskId: task.taskId })));
    const rest = await collect(endpoint().follow({ taskId: task.taskId, fromSeq: seen.at(-1)!.seq + 1n }));
    assert.deepEqual([...seen, ...rest], await wholeTape(endpoint(), task.taskId));
  });

  it("a tape is identical after the end, for followers and pages", async () => {
    const { task } = await endpoint().start({ kind: "echo", params: { count: 4 } });
    const live = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(await collect(endpoint().follow({ taskId: task.taskId })), live);
    assert.deepEqual(await wholeTape(endpoint(), task.taskId), live);
  });

  it("a follower from a seq receives that event and the later ones; 0 and 1 mean the same", async () => {
    const taskId = await finishedEcho(endpoint(), 4);
    assert.deepEqual(seqs(await collect(endpoint().follow({ taskId, fromSeq: 5n }))), [5n, 6n, 7n]);
    assert.deepEqual(seqs((await endpoint().events({ taskId, fromSeq: 6n })).events), [6n, 7n]);
    assert.deepEqual(
      await endpoint().events({ taskId, fromSeq: 0n }),
      await endpoint().events({ taskId, fromSeq: 1n }),
    );
  });

  it("a follower past the end of a finished tape ends at once without an event", async () => {
    const taskId = await finishedEcho(endpoint(), 1);
    assert.deepEqual(await collect(endpoint().follow({ taskId, fromSeq: 5n })), []);
    assert.deepEqual(await collect(endpoint().follow({ taskId, fromSeq: 9_999n })), []);
  });

  it("a follower past the end of an unfinished tape is refused, and the error names the last event", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const { taskId } = task;
    const running = await actor.enter();
    await running.log("INFO", "hello");
    await running.flush();
    for (const fromSeq of [4n, 9_999n]) {
      await assert.rejects(collect(endpoint().follow({ taskId, fromSeq })), (error: unknown) => {
        assert.ok(error instanceof EndpointError, String(error));
        assert.equal(error.reason, "SEQ_OUT_OF_RANGE");
        assert.ok(error.code === 0 || error.code === Code.OutOfRange);
        assert.deepEqual(error.metadata, { task_id: taskId, from_seq: `${fromSeq}`, last_seq: "2" });
        return true;
      });
    }
    const page = await endpoint().events({ taskId, fromSeq: 9_999n });
    assert.deepEqual([page.events, page.nextFromSeq, page.hasMore, page.status], [[], 9_999n, false, "running"]);
    const next = collect(endpoint().follow({ taskId, fromSeq: 3n }));
    actor.leave();
    assert.deepEqual(seqs(await next), [3n]);
  });

  it("a follower past the start of an empty tape is refused", async () => {
    const { task } = await endpoint().start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    const { taskId } = task;
    const following = collect(endpoint().follow({ taskId, fromSeq: 2n }));
    await assert.rejects(following, { reason: "SEQ_OUT_OF_RANGE" });
    const first = collect(endpoint().follow({ taskId, fromSeq: 1n }));
    await endpoint().cancel(taskId);
    assert.deepEqual(seqs(await first), [1n]);
  });

  it("pages of three events visit every event once", async () => {
    const taskId = await finishedEcho(endpoint(), 8);
    const pages: EndpointEvent[][] = [];
    for (let fromSeq = 1n; ;) {
      const page = await endpoint().events({ taskId, fromSeq, limit: 3 });
      pages.push(page.events);
      assert.equal(page.nextFromSeq, fromSeq + BigInt(page.events.length));
      fromSeq = page.nextFromSeq;
      if (!page.hasMore) break;
    }
    assert.deepEqual(
      pages.map(({ length }) => length),
      [3, 3, 3, 2],
    );
    assertGapless(pages.flat());
  });

  it("a page with limit and from_seq reports the next seq, the last seq and whether there is more", async () => {
    const taskId = await finishedEcho(endpoint(), 8);
    const page = await endpoint().events({ taskId, fromSeq: 4n, limit: 2 });
    assert.deepEqual(seqs(page.events), [4n, 5n]);
    assert.deepEqual([page.nextFromSeq, page.lastSeq, page.hasMore, page.status], [6n, 11n, true, "succeeded"]);
  });

  it("a page past the end is empty and leaves the cursor unchanged", async () => {
    const taskId = await finishedEcho(endpoint(), 1);
    const page = await endpoint().events({ taskId, fromSeq: 9_999n });
    assert.deepEqual([page.events, page.nextFromSeq, page.hasMore], [[], 9_999n, false]);
  });

  it("a page at the end of the tape of a running task is returned at once and empty", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    const page = await endpoint().events({ taskId: task.taskId, fromSeq: 2n });
    assert.deepEqual([page.events, page.nextFromSeq, page.hasMore, page.status], [[], 2n, false, "running"]);
    actor.leave();
  });

  it("a task that has not run has an empty tape", async () => {
    const { task } = await endpoint().start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) });
    const page = await endpoint().events({ taskId: task.taskId });
    assert.deepEqual([page.events, page.lastSeq, page.nextFromSeq, page.hasMore], [[], 0n, 1n, false]);
    await endpoint().cancel(task.taskId);
  });

  it("a long poll returns at once if events exist or the task has ended", async () => {
    const taskId = await finishedEcho(endpoint(), 1);
    assert.equal((await endpoint().events({ taskId, waitMs: 60_000 })).events.length, 4);
    assert.deepEqual((await endpoint().events({ taskId, fromSeq: 5n, waitMs: 60_000 })).events, []);
  });

  it("a long poll returns on an append and on the end", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const { taskId } = task;
    const running = await actor.enter();
    const appended = endpoint().events({ taskId, fromSeq: 2n, waitMs: 60_000 });
    await running.log("INFO", "hello");
    assert.deepEqual((await appended).events[0]!.body, { level: "INFO", message: "hello" });
    const ended = endpoint().events({ taskId, fromSeq: 3n, waitMs: 60_000 });
    actor.leave();
    const page = await ended;
    assert.deepEqual([page.status, page.events.map(({ type }) => type)], ["succeeded", ["final"]]);
  });

  it("a long poll returns an empty page when its wait is over", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    await actor.enter();
    assert.deepEqual((await endpoint().events({ taskId: task.taskId, fromSeq: 2n, waitMs: 20 })).events, []);
    actor.leave();
  });

  it("each tape has its own numbers and its own events", async () => {
    const started = await Promise.all(
      [1, 2, 3, 4].map((count) => endpoint().start({ kind: "echo", params: { count } })),
    );
    for (const [index, { task }] of started.entries()) {
      const tape = await collect(endpoint().follow({ taskId: task.taskId }));
      assertGapless(tape);
      assert.equal(tape.length, index + 1 + 3);
    }
  });

  it("an event keeps its payload exactly: NUL, emoji, deep and unusual keys", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const payload = { "\u0000": "a\u0000b", "💾": ["\u2028", { "": null }], n: [1e308, -0.5, 2 ** 53], yes: true };
    await (await actor.enter()).partial("odd", payload);
    actor.leave();
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assert.deepEqual(tape[1]!.body, { kind: "odd", payload });
    assert.deepEqual(await wholeTape(endpoint(), task.taskId), tape);
  });

  it("a page of large events fits in a message, and pages visit each event once", async () => {
    const actor = endpoint().stage.actor();
    const { task } = await endpoint().start({ kind: "stage", params: actor.params });
    const running = await actor.enter();
    const numbers = Array<number>(20_000).fill(7); // Far larger in protobuf than in JSON.
    for (let index = 0; index < 30; index++) await running.partial("large", { index, numbers });
    actor.leave({ numbers: Array<number>(200_000).fill(7) });
    const tape = await collect(endpoint().follow({ taskId: task.taskId }));
    assertGapless(tape);
    assert.equal(tape.length, 32);
    assert.deepEqual(await wholeTape(endpoint(), task.taskId, 1_000), tape);
  });
}

async function finishedEcho(endpoint: Endpoint, count: number): Promise<string> {
  const { task } = await endpoint.start({ kind: "echo", params: { count } });
  await endpoint.result({ taskId: task.taskId, waitMs: 10_000 });
  return task.taskId;
}

export async function wholeTape(endpoint: Endpoint, taskId: string, limit = 100): Promise<EndpointEvent[]> {
  const events: EndpointEvent[] = [];
  for (let fromSeq = 1n; ;) {
    const page = await endpoint.events({ taskId, fromSeq, limit });
    events.push(...page.events);
    if (!page.hasMore) return events;
    fromSeq = page.nextFromSeq;
  }
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  return Array.fromAsync(items);
}

async function* take<Item>(count: number, items: AsyncIterable<Item>): AsyncGenerator<Item> {
  let left = count;
  for await (const item of items) {
    yield item;
    if (--left === 0) return;
  }
}

async function next<Item>(iterator: AsyncIterator<Item>): Promise<Item> {
  const { done, value } = await iterator.next();
  assert.ok(!done, "the tape ended early");
  return value;
}

export function assertGapless(tape: readonly EndpointEvent[]): void {
  assert.deepEqual(
    seqs(tape),
    tape.map((_, index) => BigInt(index + 1)),
  );
}

function seqs(events: readonly EndpointEvent[]): bigint[] {
  return events.map(({ seq }) => seq);
}
