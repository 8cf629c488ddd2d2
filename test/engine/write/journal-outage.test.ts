import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { Feed } from "../../../src/engine/read/feed.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { startCuttingProxy } from "../../support/cutting-proxy.ts";
import type { CuttingProxy } from "../../support/cutting-proxy.ts";
import { createRunning, newTask, outline, startedOf, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { recordObserver } from "../../support/recorded-observer.ts";
import type { RecordedObserver } from "../../support/recorded-observer.ts";
import { startServer } from "../../support/postgres.ts";
import type { PostgresServer } from "../../support/postgres.ts";

const NEVER = new AbortController().signal;
const range = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
const log = pino({ level: "silent" });

describe("a journal whose database goes away", () => {
  const namespace = randomUUID();
  let server: PostgresServer;
  let proxy: CuttingProxy;
  let store: Store;
  let journal: Journal;
  let feed: Feed;
  let recorded: RecordedObserver;

  before(async () => {
    server = await startServer();
    proxy = await startCuttingProxy(server.url);
    store = await openDatabase({ url: proxy.url });
    await migrate(store.db);
  });
  after(async () => {
    await store?.close();
    await proxy?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await server.start();
    feed = new Feed();
    recorded = recordObserver();
    journal = new Journal({ store: openFlushStore(store.db), feed, observer: recorded.observer, log });
  });

  const tapeOf = async (taskId: string) => outline(await storedTape(store.db, { namespace, taskId }));
  const open = async () => journal.open(await createRunning(store.db, { namespace }), { onLost: () => {} });
  const create = (task: ReturnType<typeof newTask>) => journal.create(task, startedOf(task));

  for (const way of ["kill", "stop"] as const) {
    it(`loses no acknowledged event and writes no event twice (${way} during flushes)`, async () => {
      const STEPS = 3_000;
      const OUTAGES = 3;
      const writers = await Promise.all(range(8).map(() => open()));
      const durable = new Map(writers.map(({ fence }) => [fence.taskId, 0]));
      let reached = 0;
      const marks = range(OUTAGES).map(() => Promise.withResolvers<void>());
      const produced = writers.map(async (writer, index) => {
        for (const step of range(STEPS)) {
          await writer.append(steps(step)[0]!);
          if (step % 50 === 0) {
            await writer.flush();
            durable.set(writer.fence.taskId, step);
          }
          if (index === 0 && step % (STEPS / (OUTAGES + 1)) === 0) marks[reached++]?.resolve();
        }
        await writer.end(SUCCEEDED, "succeeded");
      });
      for (const { promise } of marks) {
        await promise;
        await server[way]();
        const acknowledged = new Map(durable);
        await server.start();
        for (const [taskId, count] of acknowledged) assert.ok((await tapeOf(taskId)).length > count);
      }
      await Promise.all(produced);
      const expected = ["started", ...range(STEPS), "final"];
      for (const { fence } of writers) assert.deepEqual(await tapeOf(fence.taskId), expected);
    });
  }

  it("detects that an append is stored although its answer was lost", async () => {
    const writer = await open();
    using _ = feed.subscribe(writer.fence.taskId, NEVER);
    for (const round of range(5)) {
      const cut = proxy.cutAnswerTo("spool_flush");
      void writer.append(steps(round)[0]!);
      const flushed = writer.flush();
      await cut;
      await flushed;
      assert.deepEqual(feed.state(writer.fence.taskId), { status: "running", lastSeq: BigInt(round + 1) });
    }
    await writer.end(SUCCEEDED, "succeeded");
    assert.deepEqual(await tapeOf(writer.fence.taskId), ["started", 1, 2, 3, 4, 5, "final"]);
  });

  it("detects that an end is stored although its answer was lost", async () => {
    const writer = await open();
    const { taskId } = writer.fence;
    const cut = proxy.cutAnswerTo("spool_flush");
    void writer.append(steps(1)[0]!);
    const ended = writer.end(SUCCEEDED, "succeeded");
    await Promise.all([cut, ended]);
    assert.equal(writer.isEndedElsewhere, false);
    assert.equal(recorded.events(), 2); // The end is reported all the same, and once.
    assert.deepEqual(await tapeOf(taskId), ["started", 1, "final"]);
    assert.equal((await readTask(store.db, { namespace, taskId })).status, "succeeded");
  });

  it("detects that a start is stored although its answer was lost, with or without a request_id", async () => {
    for (const requestId of [null, randomUUID()]) {
      const task = newTask({ namespace, requestId, lease: randomUUID() });
      const cut = proxy.cutAnswerTo("spool_flush");
      const [outcome] = await Promise.all([create(task), cut]);
      assert.equal(outcome.created, true);
      assert.deepEqual(await tapeOf(task.taskId), ["started"]);
    }
  });

  it("returns the task of a taken request_id although answers are lost", async () => {
    const requestId = randomUUID();
    const first = newTask({ namespace, requestId });
    await create(first);
    const cut = proxy.cutAnswerTo("task_requests");
    const [outcome] = await Promise.all([create(newTask({ namespace, requestId })), cut]);
    assert.equal(outcome.created, false);
    assert.equal(outcome.created ? "" : outcome.task.taskId, first.taskId);
  });

  it("retries a start through a short outage, and refuses the start in a long outage", async () => {
    const short = newTask({ namespace });
    await server.stop();
    const held = create(short);
    await server.start();
    assert.equal((await held).created, true);
    await server.stop();
    const late = newTask({ namespace });
    await assert.rejects(create(late), { reason: "STORE_UNAVAILABLE" });
    await server.start();
    await assert.rejects(readTask(store.db, { namespace, taskId: late.taskId }), { reason: "TASK_NOT_FOUND" });
  });

  it("gives up waiting items when the halt signal fires during its stop", async () => {
    const writer = await open();
    await server.stop();
    void writer.append(steps(1)[0]!);
    const flushed = assert.rejects(writer.flush(), { reason: "STORE_UNAVAILABLE" });
    const started = assert.rejects(create(newTask({ namespace })), { reason: "STORE_UNAVAILABLE" });
    const halt = new AbortController();
    journal.giveUpOn(halt.signal);
    const stopped = journal.stop();
    halt.abort();
    await Promise.all([stopped, flushed, started]);
    await server.start();
    assert.deepEqual(await tapeOf(writer.fence.taskId), ["started"]);
  });
});
