import assert from "node:assert/strict";
import { mkdtempDisposable, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLines } from "../../../src/archive/archive-lines-reader.ts";
import { ArchiveParser } from "../../../src/archive/archive-parser.ts";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import { newEvent } from "../../../src/domain/event.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { ArchivedTask } from "../../../src/engine/api/removal-archive.ts";
import { ArchiveFolder } from "../../../src/server/export/archive-folder.ts";
import { openRemovalArchives, removalArchive } from "../../../src/server/export/removal-archive.ts";
import { readConfiguration } from "../../../src/server/config/configuration.ts";
import { PendingTask } from "../../../src/server/import/pending-task.ts";
import { endedTask } from "../../archive/arbitrary-tasks.ts";

const time = new Date("2027-01-01T00:00:00Z");
const log: TapeEvent = { seq: 1n, time, ...newEvent("log", { level: "INFO", message: "a line" }) };

let folder: AsyncDisposable & { path: string };
beforeEach(async () => {
  folder = await mkdtempDisposable(join(tmpdir(), "spool-removal-archive-"));
});
afterEach(() => folder[Symbol.asyncDispose]());

const open = () => removalArchive(new ArchiveFolder(folder.path), { namespace: "default", waitMs: 0 });

/** Returns a task. Its pages end early, or with an error. */
function archived(number: number, { events = 2, error }: { events?: number; error?: Error } = {}): ArchivedTask {
  const { task, events: tape } = endedTask(number, [log]);
  return {
    task: new PendingTask(task, 1).toTask(),
    pages: (async function* () {
      yield tape.slice(0, events);
      if (error) throw error;
    })(),
  };
}

async function* each(...tasks: ArchivedTask[]): AsyncGenerator<ArchivedTask> {
  yield* tasks;
}

describe("the archive of removed tasks", () => {
  it("is set by a variable or a flag", () => {
    const environment = { SPOOL_RETENTION_EXPORT: "./archive" };
    assert.equal(readConfiguration({ environment }).retentionExport, "./archive");
    assert.equal(readConfiguration({ environment, flags: { retentionExport: "/mnt/a" } }).retentionExport, "/mnt/a");
    const refused = () => readConfiguration({ environment: {}, flags: { retentionExport: "a\0b" } });
    assert.throws(refused, { name: "ConfigurationError", message: "--retention-export: must be a path" });
  });

  it("leaves out a task that is removed while it is written, and refuses a task whose tape is not whole", async () => {
    const [whole, gone, cut, last] = [
      archived(1),
      archived(2, { events: 1, error: new TaskNotFound("gone") }),
      archived(3, { events: 1 }),
      archived(4),
    ];
    const { written, refused } = await open().write(each(whole, gone, cut, last));
    assert.deepEqual(written, [whole.task.taskId, last.task.taskId]);
    assert.deepEqual(refused, [{ taskId: cut.task.taskId, reason: "the tape has 1 of 2 events and ends with log 1" }]);
    const [name] = await readdir(folder.path);
    const parser = new ArchiveParser(name!);
    const types: string[] = [];
    for await (const { lines } of readLines(join(folder.path, name!))) {
      for (const { text } of lines) types.push(parser.parse(text).type);
    }
    parser.finish();
    assert.deepEqual(parser.counts, { tasks: 2, events: 4 });
    assert.equal(types.filter((type) => type === "discard").length, 2);
  });

  it("leaves no file if there is nothing to write, or if the database fails", async () => {
    assert.deepEqual(await open().write(each()), { written: [], refused: [] });
    const down = new Error("the database is down");
    await assert.rejects(open().write(each(archived(1), archived(2, { error: down }))), down);
    assert.deepEqual(await readdir(folder.path), []);
  });

  it("fails if the folder is lost before the file is complete", async () => {
    const lose = async function* () {
      yield archived(1);
      await rm(folder.path, { recursive: true });
    };
    await assert.rejects(open().write(lose()), { name: "RemovalArchiveFailed", message: /ENOENT/ });
  });

  it("is refused at the start without a folder that can be written to", async () => {
    const file = join(folder.path, "file");
    await writeFile(file, "");
    for (const path of [join(folder.path, "missing"), file]) {
      await assert.rejects(openRemovalArchives({ retentionExport: path }), {
        name: "ConfigurationError",
        message: /^SPOOL_RETENTION_EXPORT: must be a folder that can be written to \(E(NOENT|NOTDIR)/,
      });
    }
    assert.equal(await openRemovalArchives({ retentionExport: null }), null);
    const archive = (await openRemovalArchives({ retentionExport: folder.path }))?.("default");
    assert.equal(archive!.waitMs, 600_000);
    assert.deepEqual(await readdir(folder.path), ["file"]);
  });
});
