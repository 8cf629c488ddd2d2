import assert from "node:assert/strict";
import { mkdtempDisposable, readdir, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import type { EngineObserver } from "../../../src/engine/api/engine-observer.ts";
import type { RemovalArchive } from "../../../src/engine/api/removal-archive.ts";
import { ArchiveParser } from "../../../src/archive/archive-parser.ts";
import { readLines } from "../../../src/archive/archive-lines-reader.ts";
import { ArchiveFolder } from "../../../src/server/export/archive-folder.ts";
import { removalArchive } from "../../../src/server/export/removal-archive.ts";
import { importArchives } from "../../../src/server/import/import-archives.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { packNextTapes } from "../../../src/store/tapes/packing.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { lockTask } from "../../../src/store/tasks/transitions.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { inHeldTransaction } from "../../support/held-transaction.ts";
import { createEnded, storedTape } from "../../support/new-tasks.ts";
import { createDatabase } from "../../support/postgres.ts";
import { describeHeavyOnEachStore, openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const HOUR_MS = 3_600_000;
const AGO_MS = 2 * HOUR_MS;
const RETAINED = { retention: HOUR_MS };
const TIMEOUT_MS = 60_000;
const PATIENT = { timeoutMs: 30_000 };

let namespace: string;
let parent: AsyncDisposable & { path: string };
let path: string;
beforeEach(async () => {
  namespace = crypto.randomUUID();
  parent = await mkdtempDisposable(join(tmpdir(), "spool-archive-"));
  path = parent.path;
});
afterEach(() => parent[Symbol.asyncDispose]());

function archive(options: { charsMax?: number; waitMs?: number } = {}): RemovalArchive {
  return removalArchive(new ArchiveFolder(path), { namespace, waitMs: 0, ...options });
}

/** Returns the complete files, and checks that no unfinished one is left. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  assert.deepEqual(
    names.filter((name) => !/^spool-[0-9a-f-]{36}-\d{8}T\d{6}Z-[0-9a-f]{12}\.jsonl\.zst$/.test(name)),
    [],
  );
  return names.map((name) => join(folder, name));
}

/** Validates the files, and returns the ids of their tasks. */
async function exportedIds(folder = path): Promise<string[]> {
  const taskIds: string[] = [];
  for (const file of await filesOf(folder)) {
    const parser = new ArchiveParser(file);
    for await (const { lines } of readLines(file)) {
      for (const { text } of lines) {
        const item = parser.parse(text);
        if (item.type === "end") taskIds.push(item.end.taskId);
      }
    }
    parser.finish();
  }
  return taskIds.sort();
}

async function areRemoved({ db }: Store, taskIds: readonly string[]): Promise<void> {
  for (const taskId of taskIds) await assert.rejects(readTask(db, { namespace, taskId }), { reason: "TASK_EXPIRED" });
}

describeHeavyOnEachStore("retention with an archive", function (store) {
  it("exports due tasks before it removes them, and an import restores them", async function () {
    this.timeout(TIMEOUT_MS);
    const { db } = store();
    const packed = await createEnded(db, { namespace, agoMs: AGO_MS, events: 120 });
    while ((await packNextTapes(db, { namespace, afterMs: 0 })).hasMore);
    const due = [
      packed,
      await createEnded(db, { namespace, agoMs: AGO_MS, requestId: "one", params: { text: "ü\0" } }),
      await createEnded(db, { namespace, agoMs: AGO_MS, retentionMs: 60_000, events: 49 }),
      await createEnded(db, { namespace, agoMs: AGO_MS, events: 3_500 }),
    ];
    const kept = await createEnded(db, { namespace, agoMs: HOUR_MS / 2 });
    const before = new Map<string, unknown>();
    for (const taskId of due) {
      before.set(taskId, [await readTask(db, { namespace, taskId }), await storedTape(db, { namespace, taskId })]);
    }
    let exported = 0;
    const observer: EngineObserver = { ...UNOBSERVED, tasksExported: (count) => void (exported += count) };
    const inner = archive();
    const checking: RemovalArchive = {
      waitMs: 0,
      async write(tasks) {
        const ids = await inner.write(tasks);
        const complete = await exportedIds();
        for (const taskId of ids.written) {
          await readTask(db, { namespace, taskId });
          assert.ok(complete.includes(taskId));
        }
        return ids;
      },
    };
    await using engine = await startEngine(store(), { namespace, ...RETAINED, removalArchive: checking, observer });
    await eventually(() => areRemoved(store(), due), PATIENT);
    await engine.getTask(kept);
    assert.deepEqual([await exportedIds(), exported], [due.toSorted(), due.length]);

    await using database = await createDatabase();
    const restored = await openDatabase({ url: database.url });
    try {
      await migrate(restored.db);
      const flags = { databaseUrl: database.url, namespace };
      const files = await filesOf(path);
      const counts = await importArchives(files, { flags, onProgress: () => {} });
      assert.deepEqual([counts.tasks, counts.skipped], [due.length, 0]);
      for (const taskId of due) {
        const task = await readTask(restored.db, { namespace, taskId });
        assert.deepEqual([task, await storedTape(restored.db, { namespace, taskId })], before.get(taskId));
      }
    } finally {
      await restored.close();
    }
  });

  it("removes nothing while the folder is missing, logs that once, and resumes by itself", async function () {
    this.timeout(TIMEOUT_MS);
    const taskId = await createEnded(store().db, { namespace, agoMs: AGO_MS });
    const away = `${path}-away`;
    await rename(path, away);
    let failures = 0;
    const lines: { msg: string }[] = [];
    const log = pino(
      { level: "info" },
      { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) },
    );
    const observer: EngineObserver = { ...UNOBSERVED, exportFailed: () => void failures++ };
    const settings = { namespace, ...RETAINED, removalArchive: archive(), observer, log };
    await using engine = await startEngine(store(), settings);
    await eventually(() => assert.ok(failures >= 2), PATIENT);
    await engine.getTask(taskId);
    assert.ok(engine.gauges().removalOverdueMs > 0);
    await rename(away, path);
    await eventually(() => areRemoved(store(), [taskId]), PATIENT);
    assert.deepEqual(await exportedIds(), [taskId]);
    const messages = lines.map(({ msg }) => msg).filter((msg) => msg.startsWith("retention: export"));
    assert.deepEqual(messages, [
      "retention: export failed, no task is removed until an export succeeds",
      "retention: export succeeded, removal continues",
    ]);
    await eventually(() => assert.equal(engine.gauges().removalOverdueMs, 0));
  });

  it("exports a task again after a death between the export and the removal, which an import skips", async function () {
    this.timeout(TIMEOUT_MS);
    const taskId = await createEnded(store().db, { namespace, agoMs: AGO_MS });
    const inner = archive();
    const dying: RemovalArchive = {
      waitMs: 0,
      async write(tasks) {
        await inner.write(tasks);
        throw new Error("died");
      },
    };
    {
      await using engine = await startEngine(store(), { namespace, ...RETAINED, removalArchive: dying });
      await eventually(async () => assert.ok((await filesOf(path)).length > 0), PATIENT);
      await engine.getTask(taskId);
    }
    const first = (await exportedIds()).length;
    await using _ = await startEngine(store(), { namespace, ...RETAINED, removalArchive: inner });
    await eventually(() => areRemoved(store(), [taskId]), PATIENT);
    assert.deepEqual(
      await exportedIds(),
      Array.from({ length: first + 1 }, () => taskId),
    );

    await using database = await createDatabase();
    const restored = await openDatabase({ url: database.url });
    try {
      await migrate(restored.db);
      const options = { flags: { databaseUrl: database.url, namespace }, onProgress: () => {} };
      const counts = await importArchives(await filesOf(path), options);
      assert.deepEqual([counts.tasks, counts.skipped], [1, first]);
    } finally {
      await restored.close();
    }
  });

  it("begins another file when one is large enough", async function () {
    this.timeout(TIMEOUT_MS);
    const due: string[] = [];
    for (let count = 0; count < 3; count++) {
      due.push(await createEnded(store().db, { namespace, agoMs: AGO_MS, events: 200 }));
    }
    await using _ = await startEngine(store(), {
      namespace,
      ...RETAINED,
      removalArchive: archive({ charsMax: 10_000 }),
    });
    await eventually(() => areRemoved(store(), due), PATIENT);
    assert.deepEqual(await exportedIds(), due.toSorted());
    assert.equal((await filesOf(path)).length, 3);
  });

  it("waits for more tasks until one has been due for long enough", async function () {
    this.timeout(TIMEOUT_MS);
    const early = await createEnded(store().db, { namespace, agoMs: HOUR_MS + 1_000 });
    const settings = { namespace, ...RETAINED, removalArchive: archive({ waitMs: 30_000 }) };
    await using engine = await startEngine(store(), settings);
    await eventually(() => assert.ok(engine.gauges().removalOverdueMs > 0), PATIENT);
    await engine.getTask(early);
    assert.deepEqual(await filesOf(path), []);
    const late = await createEnded(store().db, { namespace, agoMs: AGO_MS, retentionMs: 60_000 });
    await eventually(() => areRemoved(store(), [early, late]), PATIENT);
    assert.equal((await filesOf(path)).length, 1);
  });
});

describe("on Postgres, retention with an archive", function () {
  this.timeout(TIMEOUT_MS);
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("exports each task once from two servers", async () => {
    const due: string[] = [];
    for (let count = 0; count < 60; count++) due.push(await createEnded(store.db, { namespace, agoMs: AGO_MS }));
    const settings = { namespace, ...RETAINED, removalArchive: archive({ charsMax: 5_000 }) };
    await using _here = await startEngine(store, settings);
    await using _there = await startEngine(store, settings);
    await eventually(() => areRemoved(store, due), PATIENT);
    assert.deepEqual(await exportedIds(), due.toSorted());
    assert.ok((await filesOf(path)).length > 1);
  });

  it("exports a locked task once, and removes it after the lock", async () => {
    const held = await createEnded(store.db, { namespace, agoMs: AGO_MS });
    const free = await createEnded(store.db, { namespace, agoMs: AGO_MS });
    await using engine = await inHeldTransaction(store.db, async (trx) => {
      await lockTask(trx, { namespace, taskId: held });
      const started = await startEngine(store, { namespace, ...RETAINED, removalArchive: archive() });
      await eventually(() => areRemoved(store, [free]), PATIENT);
      await started.getTask(held);
      return started;
    });
    await eventually(() => areRemoved(store, [held]), PATIENT);
    assert.deepEqual(await exportedIds(), [held, free].sort());
    await engine.stop({ drainMs: 0, halt: AbortSignal.timeout(10_000) });
  });
});
