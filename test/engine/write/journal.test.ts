import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { Feed } from "../../../src/engine/read/feed.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import type { NewTask } from "../../../src/store/tasks/new-task.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { recordObserver } from "../../support/recorded-observer.ts";
import { createRunning, newTask, outline, startedOf, steps, storedTape, SUCCEEDED } from "../../support/new-tasks.ts";
import { describeHeavyOnEachStore } from "../../support/stores.ts";

const NEVER = new AbortController().signal;
const range = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describeHeavyOnEachStore("the journal", (store) => {
  let namespace: string;
  let journal: Journal;
  let feed: Feed;
  beforeEach(() => {
    namespace = randomUUID();
    feed = new Feed();
    journal = new Journal({ store: openFlushStore(store().db), feed, log: pino({ level: "silent" }) });
  });
  afterEach(() => journal.stop());

  const create = (task: NewTask) => journal.create(task, startedOf(task));
  const tapeOf = async (taskId: string) => outline(await storedTape(store().db, { namespace, taskId }));
  const open = async (onLost = () => {}) => journal.open(await createRunning(store().db, { namespace }), { onLost });

  it("writes the events of many tasks at once, on each tape in the order of the calls", async () => {
    const writers = await Promise.all(range(20).map(() => open()));
    await Promise.all(
      writers.map(async (writer) => {
        for (const step of range(300)) {
          if (step % 97 === 0) await writer.flush();
          else await writer.append(steps(step)[0]!);
        }
        await writer.end(SUCCEEDED, "succeeded");
      }),
    );
    const expected = ["started", ...range(300).filter((step) => step % 97 !== 0), "final"];
    for (const { fence } of writers) assert.deepEqual(await tapeOf(fence.taskId), expected);
  });

  it("notifies producers and followers of a flush only after its commit", async () => {
    const writer = await open();
    const { taskId } = writer.fence;
    using _ = feed.subscribe(taskId, NEVER);
    for (const step of range(20)) {
      void writer.append(steps(step)[0]!);
      await writer.flush();
      assert.equal((await tapeOf(taskId)).length, step + 1);
      assert.deepEqual(feed.state(taskId), { status: "running", lastSeq: BigInt(step + 1) });
    }
    await writer.end(SUCCEEDED, "succeeded");
    assert.equal((await readTask(store().db, { namespace, taskId })).status, "succeeded");
    assert.deepEqual(feed.state(taskId), { status: "succeeded", lastSeq: 22n });
  });

  it("writes the events of an attempt once, even if two servers of the attempt write them at once", async () => {
    const fence = await createRunning(store().db, { namespace });
    const { observer, events } = recordObserver();
    const parts = { store: openFlushStore(store().db), observer, log: pino({ level: "silent" }) };
    const journals = [new Journal({ ...parts, feed }), new Journal({ ...parts, feed: new Feed() })];
    const writers = journals.map((journal) => journal.open(fence, { onLost: () => {} }));
    // Both writers have the same events under the same numbers, and flush at different events.
    await Promise.all(
      writers.map(async (writer, index) => {
        for (const step of range(200)) {
          void writer.append(steps(step)[0]!);
          if (step % (7 + 4 * index) === 0) await writer.flush();
        }
        await writer.flush();
      }),
    );
    assert.deepEqual(await tapeOf(fence.taskId), ["started", ...range(200)]);
    await writers[0]!.end(SUCCEEDED, "succeeded");
    await writers[1]!.end(SUCCEEDED, "succeeded");
    assert.deepEqual(await tapeOf(fence.taskId), ["started", ...range(200), "final"]);
    assert.deepEqual(
      writers.map(({ isEndedElsewhere }) => isEndedElsewhere),
      [false, true],
    );
    assert.equal(events(), 201); // Only the writer of an event reports it.
    await Promise.all(journals.map((journal) => journal.stop()));
  });

  it("commits many starts together: a thousand starts take a few commits", async () => {
    const tasks = range(1_000).map(() => newTask({ namespace }));
    const outcomes = await Promise.all(tasks.map((task) => create(task)));
    const commits = new Set(outcomes.map((outcome) => (outcome.created ? outcome.at.getTime() : NaN)));
    assert.ok(commits.size <= 10, `it took ${commits.size} commits`);
  });

  it("splits large starts over several flushes", async () => {
    const text = "x".repeat(1024 * 1024 - 100);
    const tasks = range(16).map(() => newTask({ namespace, params: { text } }));
    const outcomes = await Promise.all(tasks.map((task) => create(task)));
    const commits = new Set(outcomes.map((outcome) => (outcome.created ? outcome.at.getTime() : NaN)));
    assert.ok(commits.size >= 3, `16 MiB went into ${commits.size} flushes of at most 4 MiB and one item`);
  });

  it("returns the same task for all starts of one request_id", async () => {
    const requestId = randomUUID();
    const tasks = range(50).map(() => newTask({ namespace, requestId, lease: randomUUID() }));
    const outcomes = await Promise.all(tasks.map((task) => create(task)));
    const [made] = tasks.filter((_, index) => outcomes[index]!.created);
    assert.equal(outcomes.filter(({ created }) => created).length, 1);
    for (const outcome of outcomes) if (!outcome.created) assert.equal(outcome.task.taskId, made!.taskId);
  });

  it("refuses a request_id that has started a different task", async () => {
    const requestId = randomUUID();
    await create(newTask({ namespace, requestId, params: { a: 1, b: 2 } }));
    const same = await create(newTask({ namespace, requestId, params: { b: 2, a: 1 } }));
    assert.equal(same.created, false);
    for (const other of [{ params: { a: 1 } }, { params: { a: 1, b: 2 }, kind: "other" }, { labels: { a: "1" } }]) {
      const task = newTask({ namespace, requestId, params: { a: 1, b: 2 }, ...other });
      await assert.rejects(create(task), { reason: "REQUEST_ID_REUSED" });
    }
  });

  it("compares a start by kind and params if the stored task has no request digest", async () => {
    const requestId = randomUUID();
    await create({ ...newTask({ namespace, requestId, params: { a: 1 }, labels: { a: "1" } }), requestDigest: null });
    const same = await create(newTask({ namespace, requestId, params: { a: 1 }, labels: { a: "2" } }));
    assert.equal(same.created, false);
    const other = newTask({ namespace, requestId, params: { a: 2 }, labels: { a: "1" } });
    await assert.rejects(create(other), /it differs in params$/);
  });

  it("notifies an attempt once that it has lost its task, and refuses its further events", async () => {
    let told = 0;
    const fence = await createRunning(store().db, { namespace });
    const writer = journal.open({ ...fence, attempt: 2 }, { onLost: () => told++ });
    await writer.append(steps(1)[0]!);
    await assert.rejects(writer.flush(), { reason: "LEASE_LOST" });
    await assert.rejects(writer.append(steps(2)[0]!), { reason: "LEASE_LOST" });
    await assert.rejects(writer.end(SUCCEEDED, "succeeded"), { reason: "LEASE_LOST" });
    assert.equal(told, 1);
    assert.deepEqual(await tapeOf(fence.taskId), ["started"]);
    assert.equal((await readTask(store().db, { namespace, taskId: fence.taskId })).status, "running");
  });

  it("refuses events after the end", async () => {
    const writer = await open();
    const end = writer.end(SUCCEEDED, "succeeded");
    await assert.rejects(writer.append(steps(1)[0]!), { reason: "LEASE_LOST" });
    await writer.end(SUCCEEDED, "failed");
    await end;
    assert.deepEqual(await tapeOf(writer.fence.taskId), ["started", "final"]);
    assert.equal((await readTask(store().db, { namespace, taskId: writer.fence.taskId })).status, "succeeded");
  });

  it("rejects only the items whose content the database refuses", async () => {
    const [good, bad, other] = await Promise.all([open(), open(), open()]);
    const poisonLabel = { ...newTask({ namespace, labels: { key: "\0" } }) };
    const healthy = range(5).map(() => newTask({ namespace }));
    const starts = Promise.allSettled([poisonLabel, ...healthy].map((task) => create(task)));
    void good.append(steps(1)[0]!);
    void bad.append({ type: "log", body: "not JSON" });
    void other.append(steps(1)[0]!);
    const flushes = await Promise.allSettled([good.flush(), bad.flush(), other.flush()]);
    assert.deepEqual(
      flushes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(
      (await starts).map(({ status }) => status),
      ["rejected", ...healthy.map(() => "fulfilled")],
    );
    await Promise.all([good.end(SUCCEEDED, "succeeded"), other.end(SUCCEEDED, "succeeded")]);
    assert.deepEqual(await tapeOf(good.fence.taskId), ["started", 1, "final"]);
    assert.deepEqual(await tapeOf(other.fence.taskId), ["started", 1, "final"]);
    assert.deepEqual(await tapeOf(bad.fence.taskId), ["started"]);
  });

  it("stops only when all items are settled", async () => {
    const writer = await open();
    for (const step of range(2_000)) void writer.append(steps(step)[0]!);
    const starts = range(100).map(() => create(newTask({ namespace })));
    await journal.stop();
    assert.equal((await tapeOf(writer.fence.taskId)).length, 2_001);
    const stored = await store().db.selectFrom("tasks").select("task_id").where("namespace", "=", namespace).execute();
    assert.equal(stored.length, 101);
    assert.equal((await Promise.all(starts)).length, 100);
  });
});
