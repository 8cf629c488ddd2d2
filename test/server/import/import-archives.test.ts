import assert from "node:assert/strict";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { sql } from "kysely";
import { newEvent } from "../../../src/domain/event.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import { importArchives } from "../../../src/server/import/import-archives.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { readPage } from "../../../src/store/tapes/event-queries.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { endedTask, fileOf, middleEvents } from "../../archive/arbitrary-tasks.ts";
import type { EndedTask } from "../../archive/arbitrary-tasks.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";

const TIMEOUT_MS = 60_000;
const NAMESPACE = "default";
/** More than one statement writes. */
const LONG_EVENTS = 12_000;

const time = new Date("2027-01-01T00:00:00.001Z");
const logs = (count: number): TapeEvent[] =>
  Array.from({ length: count }, (_, index) => ({
    seq: 0n,
    time,
    ...newEvent("log", { level: "INFO", message: `line ${index}` }),
  }));

let lastNumber = 0;
/** A task with an id of its own. */
const task = (events: readonly TapeEvent[] = logs(2)) => endedTask(++lastNumber, events);

describe("importArchives", function () {
  this.timeout(TIMEOUT_MS);
  let folder: AsyncDisposable & { path: string };
  let database: TestDatabase;
  let store: Store;
  let file: string;

  before(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-import-"));
    file = join(folder.path, "tasks.jsonl");
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
    await migrate(store.db);
  });
  after(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  async function importLines(lines: readonly string[], flags: Record<string, string> = { databaseUrl: database.url }) {
    await writeFile(file, lines.join(""));
    return importArchives([file], { flags, onProgress: () => {} });
  }

  const importTasks = (...tasks: EndedTask[]) => importLines(fileOf(tasks));

  async function tapeOf({ task: { taskId, lastSeq } }: EndedTask): Promise<TapeEvent[]> {
    const events: TapeEvent[] = [];
    while (BigInt(events.length) < lastSeq) {
      const fromSeq = BigInt(events.length + 1);
      events.push(...(await readPage(store.db, { namespace: NAMESPACE, taskId, fromSeq, limit: 1_000 })).events);
    }
    return events;
  }

  /** How many rows the database has of a task, in each table. */
  async function rowsOf({ task: { taskId } }: EndedTask) {
    const { rows } = await sql<Record<"tasks" | "events" | "markers", number>>`
      select (select count(*)::int from tasks where task_id = ${taskId}::uuid) as tasks,
             (select count(*)::int from task_events where task_id = ${taskId}::uuid) as events,
             (select count(*)::int from removed_tasks where task_id = ${taskId}::uuid) as markers`.execute(store.db);
    return rows[0]!;
  }

  it("stores any events as they were exported, and skips the tasks when it is repeated", async () => {
    const property = fc.asyncProperty(fc.array(middleEvents, { minLength: 1, maxLength: 3 }), async (tapes) => {
      const tasks = tapes.map((events) => task(events));
      const events = tasks.reduce((sum, each) => sum + each.events.length, 0);
      assert.deepEqual(await importTasks(...tasks), { tasks: tasks.length, events, skipped: 0, withoutRequestId: 0 });
      assert.deepEqual(await importTasks(...tasks), {
        tasks: 0,
        events: 0,
        skipped: tasks.length,
        withoutRequestId: 0,
      });
    });
    await fc.assert(property, { numRuns: 15 });
  });

  it("writes every field of the task, and sound values of the columns that callers do not see", async () => {
    const checkpoint = { seq: 0n, time, ...newEvent("partial", { kind: "checkpoint", payload: { at: 3 } }) };
    const cancel = { seq: 0n, time, ...newEvent("cancel_requested", { reason: "enough" }) };
    const full = task([...logs(1), checkpoint, cancel]);
    const retryPolicy = { initialBackoffMs: 250, maxBackoffMs: 4_000, backoffMultiplier: 1.5, jitter: 0 };
    Object.assign(full.task, {
      requestId: "once",
      runAt: time,
      deadlineAt: time,
      cancelRequestedAt: time,
      retryPolicy,
    });
    await importTasks(full);
    const { awaitsWorker: _, ...view } = full.task;
    assert.deepEqual(await readTask(store.db, { namespace: NAMESPACE, taskId: full.task.taskId }), {
      ...view,
      exclusiveKey: null,
      crashes: 0,
      checkpointSeq: 2n,
      cancelReason: "enough",
      lease: null,
      traceparent: null,
    });
    assert.deepEqual(await tapeOf(full), full.events);
    const { rows } = await sql`select ended_xid, blocked, unchecked, request_digest, appended
      from tasks where task_id = ${full.task.taskId}::uuid`.execute(store.db);
    assert.deepEqual(rows, [{ ended_xid: 0n, blocked: false, unchecked: null, request_digest: null, appended: 0n }]);
  });

  it("refuses a task that exists with another digest, and writes the tasks before it", async () => {
    const [existing, first, last] = [task(), task(), task()];
    await importTasks(existing);
    const other = endedTask(Number(existing.task.taskId.slice(-12)), logs(3));
    await assert.rejects(
      importTasks(first, other, last),
      /tasks\.jsonl:7: task \S+ exists with another digest, \w{64}$/,
    );
    assert.deepEqual((await rowsOf(existing)).events, 3);
    assert.deepEqual([(await rowsOf(first)).tasks, (await rowsOf(last)).tasks], [1, 0]);
  });

  it("refuses a task that exists in another namespace", async () => {
    const existing = task();
    await importTasks(existing);
    await assert.rejects(
      importLines(fileOf([existing]), { databaseUrl: database.url, namespace: "other" }),
      /:2: task \S+ exists in the namespace "default"$/,
    );
  });

  it("imports a task without its request_id if it has started another task, and skips the task the next time", async () => {
    const [holder, late] = [task(), task()];
    holder.task.requestId = late.task.requestId = "taken";
    assert.equal((await importTasks(holder, late)).withoutRequestId, 1);
    const requestIds = [holder, late].map(async ({ task: { taskId } }) => {
      return (await readTask(store.db, { namespace: NAMESPACE, taskId })).requestId;
    });
    assert.deepEqual(await Promise.all(requestIds), ["taken", null]);
    assert.equal((await importTasks(holder, late)).skipped, 2);
  });

  it("writes a long tape, and skips it the next time", async () => {
    const long = task(logs(LONG_EVENTS));
    assert.equal((await importTasks(task(), long, task())).events, LONG_EVENTS + 1 + 6);
    assert.deepEqual(await tapeOf(long), long.events);
    assert.equal((await importTasks(long)).skipped, 1);
  });

  it("leaves nothing of a long tape that is damaged at its end", async () => {
    const [first, long] = [task(), task(logs(LONG_EVENTS))];
    const lines = fileOf([first, long]);
    lines[lines.length - 3] = lines.at(-3)!.replace("SUCCEEDED", "FAILED");
    await assert.rejects(importLines(lines), /tasks\.jsonl:12009: final has status failed/);
    assert.equal((await rowsOf(first)).tasks, 1);
    assert.deepEqual(await rowsOf(long), { tasks: 0, events: 0, markers: 0 });
  });

  it("writes the tasks of a file that is cut, and reports where the file ends", async () => {
    const [first, second] = [task(), task()];
    const lines = fileOf([first, second]);
    await assert.rejects(importLines(lines.slice(0, -4)), /tasks\.jsonl:8: ends within task/);
    assert.deepEqual([(await rowsOf(first)).tasks, (await rowsOf(second)).events], [1, 0]);
    assert.deepEqual(await importLines(lines), { tasks: 1, events: 3, skipped: 1, withoutRequestId: 0 });
  });

  it("names the task whose content the database refuses, and writes the tasks before it", async () => {
    const [first, refused] = [task(), task()];
    refused.task.labels = { team: "a\0b" };
    await assert.rejects(importTasks(first, refused), /tasks\.jsonl:7: task \S+ cannot be stored: /);
    assert.deepEqual([(await rowsOf(first)).tasks, (await rowsOf(refused)).events], [1, 0]);
  });

  it("brings a removed task back, whose events are deleted before", async () => {
    const removed = task();
    const { taskId } = removed.task;
    await sql`insert into removed_tasks (task_id, namespace, events_left) values (${taskId}, 'default', true)`.execute(
      store.db,
    );
    await sql`insert into task_events (task_id, seq, time, type, body)
      select ${taskId}, seq, now(), 'log', '{}' from generate_series(1, 9) seq`.execute(store.db);
    await importTasks(removed);
    assert.deepEqual(await rowsOf(removed), { tasks: 1, events: 3, markers: 0 });
    assert.deepEqual(await tapeOf(removed), removed.events);
  });

  it("writes to an embedded database, also a long tape", async () => {
    const tasks = [task(), task(logs(6_000)), task()];
    const flags = { dataDir: join(folder.path, "data") };
    const events = 6_000 + 1 + 6;
    assert.deepEqual(await importLines(fileOf(tasks), flags), { tasks: 3, events, skipped: 0, withoutRequestId: 0 });
    assert.equal((await importLines(fileOf(tasks), flags)).skipped, 3);
  });

  it("refuses a database without the schema", async () => {
    await using empty = await createDatabase();
    await assert.rejects(importLines(fileOf([]), { databaseUrl: empty.url }), /spool migrate/);
  });
});
