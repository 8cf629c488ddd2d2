import assert from "node:assert/strict";
import type { TapePage } from "../../../src/engine/api/task-engine.ts";
import { remote, startRunning } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import type { TestEngine } from "../../support/engines.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;
const FAR_MS = 60_000;
const EVENTS = 20;

describe("a read at a server without notifications from another server", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  /** A task at one server, and followers of it at the other, whose memory of it is up to a second old. */
  async function followedElsewhere(followers: number) {
    const { kind, emit, end } = remote();
    await using engines = new AsyncDisposableStack();
    const writer = engines.use(await startEngine(store, { kinds: [kind], notify: false }));
    const reader = engines.use(await startEngine(store, { notify: false, namespace: writer.namespace }));
    const taskId = await startRunning(writer, { kind: "remote" });
    const left = new AbortController();
    const following = await Promise.all(Array.from({ length: followers }, () => begin(reader, taskId, left.signal)));
    const open = engines.move();
    return {
      writer,
      reader,
      taskId,
      emit,
      end,
      async [Symbol.asyncDispose]() {
        left.abort(new Error("left"));
        for (const pages of following) await pages.return?.();
        end();
        await open.disposeAsync();
      },
    };
  }

  /** Follows a tape and reads the first page, so that the server knows the current tape. */
  async function begin(engine: TestEngine, taskId: string, signal: AbortSignal): Promise<AsyncIterator<TapePage>> {
    const pages = engine.followTape({ taskId, fromSeq: 1n, heartbeatMs: FAR_MS }, signal)[Symbol.asyncIterator]();
    await pages.next();
    return pages;
  }

  for (const followers of [1, 2]) {
    const by = followers === 1 ? "one follower" : "several followers";

    it(`shows everything stored before it began, beside ${by}`, async () => {
      await using at = await followedElsewhere(followers);
      const read = (fromSeq: bigint, waitMs: number) =>
        at.reader.readEvents({ taskId: at.taskId, fromSeq, limit: 5, waitMs }, NEVER);
      for (let seq = 2n; seq <= EVENTS; seq++) {
        await at.emit();
        for (const waitMs of [0, FAR_MS]) {
          const page = await read(seq, waitMs);
          assert.deepEqual([page.events.length, page.lastSeq, page.hasMore], [1, seq, false]);
        }
        assert.deepEqual((await read(seq + 1n, 0)).lastSeq, seq);
        const paged = await read(1n, 0);
        assert.deepEqual([paged.lastSeq, paged.hasMore], [seq, seq > 5n]);
      }
      at.end();
      await at.writer.waitForResult({ taskId: at.taskId, waitMs: FAR_MS }, NEVER);
      const { status, events } = await read(BigInt(EVENTS) + 1n, 0);
      assert.deepEqual([status, events.map(({ type }) => type)], ["succeeded", ["final"]]);
      assert.equal((await at.reader.getTask(at.taskId)).status, "succeeded");
    });

    it(`begins a stream with everything stored before it began, beside ${by}`, async () => {
      await using at = await followedElsewhere(followers);
      for (let seq = 2n; seq <= EVENTS; seq++) {
        await at.emit();
        // One position an event: the first read already shows this server the commits of the other.
        const fromSeq = [seq + 1n, seq, 1n][Number(seq % 3n)]!;
        for await (const page of at.reader.followTape({ taskId: at.taskId, fromSeq, heartbeatMs: FAR_MS }, NEVER)) {
          assert.deepEqual([page.lastSeq, page.nextFromSeq], [seq, seq + 1n]);
          break;
        }
      }
    });
  }

  it("is served from memory if memory is as new as the store", async () => {
    await using at = await followedElsewhere(1);
    const left = new AbortController();
    const pages = await begin(at.writer, at.taskId, left.signal);
    await at.emit();
    for (const [engine, fromSeq] of [
      [at.writer, 2n],
      [at.reader, 3n],
    ] as const) {
      const query = { taskId: at.taskId, fromSeq, limit: 5, waitMs: 0 };
      await engine.readEvents(query, NEVER); // Shows the reader the current tape.
      const before = engine.gauges();
      assert.equal((await engine.readEvents(query, NEVER)).lastSeq, 2n);
      const { feedPages, storePages } = engine.gauges();
      assert.deepEqual([feedPages - before.feedPages, storePages - before.storePages], [1, 0]);
    }
    left.abort(new Error("left"));
    await pages.return?.();
  });

  it("finds no task of another namespace, even while followers ask for it", async () => {
    await using at = await followedElsewhere(0);
    await using other = await startEngine(store, { notify: false });
    const query = { taskId: at.taskId, fromSeq: 1n };
    const calls = [
      other
        .followTape({ ...query, heartbeatMs: FAR_MS }, NEVER)
        [Symbol.asyncIterator]()
        .next(),
      other.readEvents({ ...query, limit: 1, waitMs: FAR_MS }, NEVER),
      other.readEvents({ ...query, limit: 1, waitMs: 0 }, NEVER),
    ];
    await Promise.all(calls.map((call) => assert.rejects(call, { reason: "TASK_NOT_FOUND" })));
  });
});
