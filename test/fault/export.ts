// A database with a million events on tapes of 3 to 100,000 events is exported by a server's calls and imported into
// another database, and a part of it into an embedded one. Each export and import is killed at random moments, several
// times, and then run again until it is done. After each kill, no event may be without the row of its task, and each
// task must have its whole tape. In the end, every export must hold the same tasks with the same digests, and both
// databases the same events. `-- --events 100000 --kills 2` makes it smaller; `--seed N` repeats the moments.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { ArchiveParser } from "../../src/archive/archive-parser.ts";
import { readLines } from "../../src/archive/archive-lines-reader.ts";
import { openDatabase } from "../../src/store/database.ts";
import { migrate } from "../../src/store/migrate.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { fillEndedTasks } from "./support/ended-tasks.ts";
import { SeededRandom } from "./support/random.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const EVENTS_DEFAULT = 1_000_000;
const KILLS_DEFAULT = 5;
const SCENARIO_MS_MAX_BASE = 180_000;
const SCENARIO_MS_PER_EVENT = 3;
const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "spool.js");
const LONG_EVENTS = 100_000;
const MEDIUM_EVENTS = 500;
const SHORT_EVENTS = 5;

const BROKEN = `
select (select count(*) from task_events e where not exists (select from tasks t where t.task_id = e.task_id))::int as orphans,
       (select count(*) from tasks t
         where t.last_seq <> (select count(*) from tape_events e where e.task_id = t.task_id))::int as partial`;

/** Times are compared to the millisecond, which is what callers see. */
const SUM = `
select count(*)::int as events,
       sum(hashtextextended(concat_ws(' ', task_id, seq, type, date_trunc('milliseconds', time at time zone 'utc'), body::jsonb::text), 0))::text
         as checksum
from (select task_id, seq, type, time, replace(body::text, '\\u0001', '?')::json as body from tape_events) e`;

interface Options {
  events: number;
  kills: number;
  random: SeededRandom;
}

/** Runs a command. @param killAfterMs after this time, the command is killed; null: it is not */
async function run(
  words: readonly string[],
  environment: Record<string, string>,
  killAfterMs: number | null,
): Promise<{ code: number | null; wasKilled: boolean; ms: number; printed: string }> {
  const startedAt = performance.now();
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [PROGRAM, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (printed += String(chunk)));
  const exited = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  const stopped = new AbortController();
  if (killAfterMs !== null) {
    void setTimeout(killAfterMs, undefined, { signal: stopped.signal }).then(
      () => child.kill("SIGKILL"),
      () => {},
    );
  }
  const [code, signal] = await exited;
  stopped.abort();
  return { code, wasKilled: signal === "SIGKILL", ms: performance.now() - startedAt, printed };
}

/** Runs a command until it is done, and kills it before at random moments of the time that it needs. */
async function runWithKills(
  findings: Findings,
  words: readonly string[],
  environment: Record<string, string>,
  { kills, random, msOfRun, afterKill }: Options & { msOfRun: number; afterKill?: () => Promise<void> },
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const { wasKilled, code, printed } = await run(words, environment, 200 + random.next() * msOfRun * 0.9);
    if (wasKilled) findings.count(`killed: ${words[0]}`);
    else findings.expect(code === 0, `spool ${words[0]} ended with ${code}`, printed);
    await afterKill?.();
  }
  const { code, printed } = await run(words, environment, null);
  findings.expect(code === 0, `spool ${words[0]} ended with ${code}`, printed);
}

/** Returns the digest of each task of a file. */
async function digestsOf(file: string): Promise<Map<string, string>> {
  const parser = new ArchiveParser(file);
  const digests = new Map<string, string>();
  for await (const { lines } of readLines(file)) {
    for (const { text } of lines) {
      const item = parser.parse(text);
      if (item.type === "end") digests.set(item.end.taskId, item.end.sha256);
    }
  }
  parser.finish();
  return digests;
}

function expectSame(findings: Findings, name: string, found: Map<string, string>, expected: Map<string, string>): void {
  const differing = [...expected].filter(([taskId, digest]) => found.get(taskId) !== digest);
  findings.expect(found.size === expected.size, `${name}: ${found.size} tasks of ${expected.size}`);
  findings.expect(differing.length === 0, `${name}: ${differing.length} tasks differ`, differing.slice(0, 3));
  findings.count("digests compared", expected.size);
}

function record(findings: Findings, name: string, { ms }: { ms: number }, events: number): void {
  findings.record(name, `${(ms / 1_000).toFixed(1)} s, ${Math.round((events * 1_000) / ms)} events/s`);
}

async function exportAndImport(findings: Findings, folder: string, options: Options): Promise<void> {
  await using from = await createDatabase();
  await using to = await createDatabase();
  for (const { url } of [from, to]) {
    const store = await openDatabase({ url });
    await migrate(store.db);
    await store.close();
  }
  const source = new pg.Client({ connectionString: from.url });
  const target = new pg.Client({ connectionString: to.url });
  await Promise.all([source.connect(), target.connect()]);
  try {
    const { events } = options;
    const filled = await fillEndedTasks(source, [
      { kind: "short", tasks: Math.ceil(events / 20 / SHORT_EVENTS), events: SHORT_EVENTS },
      { kind: "medium", tasks: Math.ceil((events * 11) / 20 / MEDIUM_EVENTS), events: MEDIUM_EVENTS },
      {
        kind: "long",
        tasks: Math.max(1, Math.floor((events * 2) / 5 / LONG_EVENTS)),
        events: Math.min(LONG_EVENTS, events),
      },
      { kind: "few", tasks: 20, events: 300 },
    ]);
    findings.record("tasks", filled.tasks);
    findings.record("events", filled.events);

    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: from.url } });
    const address = { SPOOL_ADDRESS: server.address };
    const whole = join(folder, "whole.jsonl.zst");
    const killed = join(folder, "killed.jsonl.zst");
    const exported = await run(["export", "--output", whole], address, null);
    findings.expect(exported.code === 0, `spool export ended with ${exported.code}`, exported.printed);
    record(findings, "an export", exported, filled.events);
    await runWithKills(findings, ["export", "--output", killed], address, { ...options, msOfRun: exported.ms });
    const expected = await digestsOf(whole);
    findings.expect(expected.size === filled.tasks, `the export has ${expected.size} of ${filled.tasks} tasks`);
    expectSame(findings, "the killed export", await digestsOf(killed), expected);

    const database = { SPOOL_DATABASE_URL: to.url };
    const afterKill = async () => {
      const { rows } = await target.query<{ orphans: number; partial: number }>(BROKEN);
      findings.expect(rows[0]!.orphans === 0, `${rows[0]!.orphans} events without a task`);
      findings.expect(rows[0]!.partial === 0, `${rows[0]!.partial} tasks with a part of their tape`);
    };
    const measured = await run(["import", whole], { SPOOL_DATABASE_URL: to.url, SPOOL_NAMESPACE: "default" }, null);
    findings.expect(measured.code === 0, `spool import ended with ${measured.code}`, measured.printed);
    record(findings, "an import", measured, filled.events);
    await target.query("truncate tasks, task_events, packed_events, task_requests, removed_tasks");
    await runWithKills(findings, ["import", killed], database, { ...options, msOfRun: measured.ms, afterKill });
    await afterKill();
    const [before, after] = (await Promise.all([source.query(SUM), target.query(SUM)])).map(
      ({ rows }) => rows[0] as unknown,
    );
    findings.expect(JSON.stringify(before) === JSON.stringify(after), "the events differ", before, after);

    await using other = await startServerProcess({ environment: database });
    const again = join(folder, "again.jsonl");
    const back = await run(["export", "--output", again], { SPOOL_ADDRESS: other.address }, null);
    findings.expect(back.code === 0, `spool export ended with ${back.code}`, back.printed);
    expectSame(findings, "the export of the imported tasks", await digestsOf(again), expected);
    await throughEmbedded(findings, folder, { ...options, address });
  } finally {
    await Promise.all([source.end(), target.end()]);
  }
}

/** Exports a kind, imports it into an embedded database with kills, and exports it from there. */
async function throughEmbedded(
  findings: Findings,
  folder: string,
  { address, ...options }: Options & { address: Record<string, string> },
): Promise<void> {
  const few = join(folder, "few.jsonl.zst");
  const back = join(folder, "few-again.jsonl.zst");
  const data = { SPOOL_DATA_DIR: join(folder, "data") };
  const exported = await run(["export", "--kind", "few", "--output", few], address, null);
  findings.expect(exported.code === 0, `spool export ended with ${exported.code}`, exported.printed);
  await runWithKills(findings, ["import", few], data, { ...options, msOfRun: 3_000 });
  await using server = await startServerProcess({ environment: data });
  const again = await run(["export", "--output", back], { SPOOL_ADDRESS: server.address }, null);
  findings.expect(again.code === 0, `spool export ended with ${again.code}`, again.printed);
  expectSame(findings, "the export of the embedded database", await digestsOf(back), await digestsOf(few));
}

const { values } = parseArgs({
  options: { events: { type: "string" }, kills: { type: "string" }, seed: { type: "string" } },
});
const events = Number(values.events ?? EVENTS_DEFAULT);
const kills = Number(values.kills ?? KILLS_DEFAULT);
if (!Number.isSafeInteger(events) || events < 1) throw new Error("--events takes a number of events");
if (!Number.isSafeInteger(kills) || kills < 0) throw new Error("--kills takes a number of kills");
const random = new SeededRandom(Number(values.seed ?? Math.floor(Math.random() * 1_000_000)));
const folder = await mkdtemp(join(tmpdir(), "spool-export-"));
console.log(`${events} events, ${kills} kills of each command, seed ${random.seed}`);
try {
  await runScenario("export", (findings) => exportAndImport(findings, folder, { events, kills, random }), {
    msMax: SCENARIO_MS_MAX_BASE + events * SCENARIO_MS_PER_EVENT,
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
