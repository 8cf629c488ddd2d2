import assert from "node:assert/strict";
import { mkdtempDisposable, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ArchiveParser } from "../../../src/archive/archive-parser.ts";
import { readLines } from "../../../src/archive/archive-lines-reader.ts";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { openDatabase } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { fillEndedTasks } from "../../fault/support/ended-tasks.ts";
import { eventually } from "../../support/eventually.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";
import { startServerProcess } from "../../support/server-process.ts";
import type { ServerProcess } from "../../support/server-process.ts";
import { runSpool, spawnSpool } from "../spool-process.ts";

const TIMEOUT_MS = 180_000;

/** Returns the digest of each task of a complete file. */
async function digestsOf(file: string): Promise<Record<string, string>> {
  const parser = new ArchiveParser(file);
  const digests: Record<string, string> = {};
  for await (const { lines } of readLines(file)) {
    for (const { text } of lines) {
      const item = parser.parse(text);
      if (item.type === "end") digests[item.end.taskId] = item.end.sha256;
    }
  }
  parser.finish();
  return digests;
}

async function migrated(): Promise<TestDatabase> {
  const database = await createDatabase();
  const store = await openDatabase({ url: database.url });
  await migrate(store.db);
  await store.close();
  return database;
}

describe("spool export and spool import", function () {
  this.timeout(TIMEOUT_MS);
  let folder: AsyncDisposable & { path: string };
  let source: TestDatabase;
  let target: TestDatabase;
  let server: ServerProcess;
  let targetServer: ServerProcess;
  let client: SpoolClient;
  let sql: pg.Client;
  let filled: { tasks: number; events: number };
  /** An export of all tasks that was not interrupted. */
  let whole: string;
  let expected: Record<string, string>;

  const path = (name: string) => join(folder.path, name);
  const spoolExport = (...words: string[]) =>
    runSpool(["export", ...words], { environment: { SPOOL_ADDRESS: server.address } });
  const spoolImport = (...words: string[]) =>
    runSpool(["import", ...words], { environment: { SPOOL_DATABASE_URL: target.url } });

  before(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-export-"));
    [source, target] = await Promise.all([migrated(), migrated()]);
    const filling = new pg.Client({ connectionString: source.url });
    await filling.connect();
    filled = await fillEndedTasks(filling, [
      { kind: "short", tasks: 40, events: 5 },
      { kind: "medium", tasks: 3, events: 150 },
      { kind: "long", tasks: 1, events: 15_000 },
    ]);
    await filling.end();
    sql = new pg.Client({ connectionString: target.url });
    await sql.connect();
    server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: source.url } });
    targetServer = await startServerProcess({ environment: { SPOOL_DATABASE_URL: target.url } });
    client = connect({ address: targetServer.address });
    whole = path("whole.jsonl.zst");
    const { code, stderr } = await spoolExport("--output", whole, "--quiet");
    assert.equal(code, 0, stderr);
    expected = await digestsOf(whole);
  });
  after(async () => {
    client[Symbol.dispose]();
    await sql.end();
    await Promise.all([server, targetServer].map((each) => each[Symbol.asyncDispose]()));
    await Promise.all([source, target, folder].map((each) => each[Symbol.asyncDispose]()));
  });

  const empty = () => sql.query("truncate tasks, task_events, packed_events, task_requests, removed_tasks");

  it("copies all tasks, which the other service then lists, returns and follows", async () => {
    await empty();
    const followed = client.followTasks({ fromStart: false })[Symbol.asyncIterator]();
    await followed.next();
    const { code, stdout, stderr } = await spoolImport(whole, "--json");
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { ...filled, skipped: 0, without_request_id: 0 });

    const listed = await Array.fromAsync(client.list({ kinds: ["short"] }));
    assert.equal(listed.length, 40);
    const [task] = listed;
    const { status } = await client.result({ taskId: task!.taskId });
    assert.equal(status, task!.status);
    const events = await Array.fromAsync(client.follow({ taskId: task!.taskId }));
    assert.deepEqual([events.length, events.at(-1)!.type], [5, "final"]);
    const { kinds } = await client.activity({ windowMs: 24 * 3_600_000 });
    assert.ok(kinds.some(({ kind, succeeded }) => kind === "short" && succeeded > 0));

    // A stream that was open before gets the next new task, and none of the imported ones. A stream from the start
    // gets all of them.
    const { task: next } = await client.start({ kind: "echo", params: { count: 1 } });
    for (let isSeen = false; !isSeen;) {
      const { tasks } = (await followed.next()).value as { tasks: { taskId: string }[] };
      assert.deepEqual(
        tasks.filter(({ taskId }) => taskId !== next.taskId),
        [],
      );
      isSeen = tasks.length > 0;
    }
    await followed.return?.();
    const seen = new Set<string>();
    for await (const { tasks } of client.followTasks({ fromStart: true, view: "tasks" })) {
      for (const { taskId } of tasks) seen.add(taskId);
      if (seen.size > filled.tasks) break;
    }
    assert.deepEqual([...seen].toSorted(), [...Object.keys(expected), next.taskId].toSorted());
    await client.waitFinal({ taskId: next.taskId, timeoutMs: 30_000 });

    const again = path("again.jsonl");
    const short = await runSpool(
      ["export", "--output", again, "--kind", "short", "--kind", "medium", "--kind", "long", "--quiet"],
      { environment: { SPOOL_ADDRESS: targetServer.address } },
    );
    assert.equal(short.code, 0, short.stderr);
    assert.deepEqual(await digestsOf(again), expected);
  });

  it("continue after they were killed, with the same result", async () => {
    const output = path("killed.jsonl.zst");
    const exporting = spawnSpool(["export", "--output", output], { environment: { SPOOL_ADDRESS: server.address } });
    await eventually(async () => assert.ok((await stat(output)).size > 1_000), { timeoutMs: 60_000 });
    exporting.child.kill("SIGKILL");
    await exporting.ended;
    const { code, stderr } = await spoolExport("--output", output);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /killed\.jsonl\.zst (has \d+ tasks and \d+ events: the export continues|is complete)/);
    assert.deepEqual(await digestsOf(output), expected);

    await empty();
    const importing = spawnSpool(["import", output], { environment: { SPOOL_DATABASE_URL: target.url } });
    const isWriting = async () => {
      const { rows } = await sql.query(`select from pg_stat_activity
        where pid <> pg_backend_pid() and datname = current_database() and query like '%spool_import_events%'`);
      assert.ok(rows.length > 0);
    };
    await eventually(isWriting, { timeoutMs: 60_000, describe: "the import writes events" });
    importing.child.kill("SIGKILL");
    await importing.ended;
    const { rows } = await sql.query(`select
      (select count(*)::int from task_events e where not exists (select from tasks t where t.task_id = e.task_id)) as orphans,
      (select count(*)::int from tasks t
        where last_seq <> (select count(*) from tape_events e where e.task_id = t.task_id)) as partial`);
    assert.deepEqual(rows, [{ orphans: 0, partial: 0 }]);
    const imported = await spoolImport(output, "--json", "--quiet");
    assert.equal(imported.code, 0, imported.stderr);
    const { tasks, skipped } = JSON.parse(imported.stdout) as { tasks: number; skipped: number };
    assert.equal(tasks + skipped, filled.tasks);
    const { rows: counts } = await sql.query(
      "select (select count(*)::int from tasks) as tasks, (select count(*)::int from tape_events) as events",
    );
    assert.deepEqual(counts, [filled]);
  });

  it("continues a file that was cut, and adds nothing to a complete one", async () => {
    const output = path("cut.jsonl");
    assert.equal((await spoolExport("--output", output)).code, 0);
    const bytes = await readFile(output);
    await truncate(output, Math.floor(bytes.length / 3));
    const { code, stdout, stderr } = await spoolExport("--output", output, "--json", "--quiet");
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { ...filled, unfinished: 0, removed: 0 });
    assert.deepEqual(await readFile(output), bytes);
    const complete = await spoolExport("--output", output);
    assert.deepEqual([complete.code, await readFile(output)], [0, bytes]);
    assert.match(complete.stderr, /is complete: nothing is left to export/);
  });

  it("refuses a file of another export, and a file that is none, and leaves both unchanged", async () => {
    const output = path("other.jsonl");
    assert.equal((await spoolExport("--output", output, "--kind", "medium", "--since", "100d")).code, 0);
    const bytes = await readFile(output);
    const { code, stderr } = await spoolExport("--output", output, "--kind", "short", "--since", "100d");
    assert.equal(code, 2);
    assert.match(stderr, /other arguments\n {2}kinds: \["short"\], in the file \["medium"\]\n$/);
    assert.deepEqual(await readFile(output), bytes);
    const text = path("notes.txt");
    await writeFile(text, "notes");
    assert.equal((await spoolExport("--output", text, "--format", "jsonl")).code, 2);
    assert.equal(await readFile(text, "utf8"), "notes");
  });

  it("writes the tasks of a kind that ended in a time range to standard output", async () => {
    const reading = new pg.Client({ connectionString: source.url });
    await reading.connect();
    const { rows } = await reading.query<{ at: Date }>(
      `select date_trunc('milliseconds', finished_at) as at from tasks where kind = 'short' order by 1`,
    );
    await reading.end();
    const since = rows[10]!.at.toISOString();
    const until = rows[20]!.at.toISOString();
    const words = ["--kind", "short", "--since", since, "--until", until, "--format", "jsonl"];
    const { code, stdout, stderr } = await spoolExport(...words);
    assert.equal(code, 0, stderr);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, object>);
    assert.equal(lines.filter((line) => "task" in line).length, 10);
    assert.deepEqual(lines.at(-1), { footer: { tasks: 10, events: 50 } });
    assert.match(stderr, /20 tasks that had not ended by \S+ were left out\n10 tasks and 50 events exported\n$/);
  });

  it("moves tasks through an embedded database @slow", async () => {
    const few = path("few.jsonl.zst");
    assert.equal((await spoolExport("--output", few, "--kind", "medium")).code, 0);
    const environment = { SPOOL_DATA_DIR: path("data") };
    const imported = await runSpool(["import", few], { environment });
    assert.equal(imported.code, 0, imported.stderr);
    await using embedded = await startServerProcess({ environment });
    const back = path("back.jsonl.zst");
    const words = ["export", "--output", back];
    assert.equal((await runSpool(words, { environment: { SPOOL_ADDRESS: embedded.address } })).code, 0);
    assert.deepEqual(await digestsOf(back), await digestsOf(few));
  });

  it("exit with 2 for a file that cannot be opened", async () => {
    assert.equal((await spoolImport(path("missing"))).code, 2);
    assert.equal((await spoolExport("--output", path("no-folder/tasks"))).code, 2);
  });
});
