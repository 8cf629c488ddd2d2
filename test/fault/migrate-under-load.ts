// A database at the first step of the schema is filled with tasks and events, and then migrated to the newest step while
// the statements of old servers go on. At first, a transaction keeps a lock that the migration needs: no statement may
// wait behind the migration for as long as that. The migrator is killed twice while it builds an index: the second time
// together with its session, in a build that waits for an older transaction, which leaves the index invalid. No statement
// may wait for a second, no row may be lost, and the schema must be the one of a new database.
// `-- --events 20000000` fills in more than the default of 2 million.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { openDatabase } from "../../src/store/database.ts";
import { migrate, MIGRATIONS, requireCurrentSchema } from "../../src/store/migrate.ts";
import { applySteps } from "../../src/store/schema-steps.ts";
import { readStructure } from "../support/empty-databases.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { OldLoad } from "./support/old-load.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";

const EVENTS_DEFAULT = 2_000_000;
const EVENTS_A_TASK = 20;
const TASKS_A_BATCH = 5_000;
/** One task in so many waits, and one runs. */
const UNFINISHED_SHARE = 50;
const BLOCKED_MS_MAX = 1_000;
/** The load runs alone before the migration, so that its plans and the caches are warm. */
const WARM_MS = 2_000;
/** A transaction has read the table of tasks, and ends so long after the migration has begun. */
const READ_MS = 4_000;
/** The build of an index takes no longer. */
const BUILD_MS_MAX = 300_000;
const SCENARIO_MS_MAX_BASE = 300_000;
const SCENARIO_MS_PER_EVENT = 0.08;
const PROGRAM = join(import.meta.dirname, "..", "..", "bin", "spool.js");

/** The line of the migrator after which it is killed while it builds an index. */
const BUILDING = /^0005-followed-tasks: build index tasks_ended$/;
/** The same while the build waits for an older transaction. The index is not valid yet. */
const WAITING = /^0005-followed-tasks: build index \w+: waiting for locks .* \(older transaction, /;

const FILL_TASKS = `
insert into tasks (task_id, namespace, kind, status, params, params_digest, labels, max_attempts, attempt, lease,
                   created_at, started_at, finished_at, last_seq)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', 'kind-' || n % 7,
       status, '{"text": "the params of a task"}', md5(n::text), jsonb_build_object('number', n % 100), 3, 1,
       case when status = 'running' then gen_random_uuid() end,
       now() - interval '1 day' + n * interval '1 ms', now() - interval '1 day',
       case when status = 'succeeded' then now() - interval '1 hour' end, $3::int
from generate_series($1::int, $2::int) n,
     lateral (select case when n % ${UNFINISHED_SHARE} = 0 then 'pending' when n % ${UNFINISHED_SHARE} = 1 then 'running'
                          else 'succeeded' end as status) s`;

const FILL_EVENTS = `
insert into task_events (task_id, seq, time, type, body)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, seq, now() - interval '1 hour',
       case when seq = $3::int and n % ${UNFINISHED_SHARE} > 1 then 'final' else 'partial' end,
       '{"text": "a part of the result, about as long as a line of text"}'
from generate_series($1::int, $2::int) n, generate_series(1, $3::int) seq`;

const COUNT = `
select (select count(*) from tasks)::int as tasks, (select count(*) from task_events)::int as events,
       (select count(*) from tasks where status in ('pending', 'running') and ended_xid is not null)::int as wrong`;

const MIGRATORS = "from pg_stat_activity where application_name = 'spool migrate' and datname = current_database()";

async function fill(client: pg.Client, events: number): Promise<{ tasks: number; events: number }> {
  const tasks = Math.ceil(events / EVENTS_A_TASK);
  for (let first = 1; first <= tasks; first += TASKS_A_BATCH) {
    const range = [first, Math.min(first + TASKS_A_BATCH - 1, tasks), EVENTS_A_TASK];
    await client.query(FILL_TASKS, range);
    await client.query(FILL_EVENTS, range);
  }
  await client.query("vacuum (analyze) tasks");
  await client.query("analyze task_events");
  return { tasks, events: tasks * EVENTS_A_TASK };
}

/** Opens a transaction that keeps the snapshot and the locks of a read. */
async function openTransaction(url: string, read: string): Promise<AsyncDisposable> {
  const client = new pg.Client({ connectionString: url, application_name: "older transaction" });
  await client.connect();
  await client.query(`begin isolation level repeatable read; ${read}`);
  return { [Symbol.asyncDispose]: () => client.end() };
}

/** Runs `spool migrate`. @param killAfter the line of its progress after which it is killed */
async function runMigrator(
  url: string,
  { onLine, killAfter }: { onLine: (line: string) => void; killAfter?: RegExp },
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const env = { ...process.env, SPOOL_DATABASE_URL: url };
  const child = spawn(process.execPath, [PROGRAM, "migrate"], { env, stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  for await (const line of createInterface({ input: child.stderr })) {
    onLine(line);
    if (killAfter?.test(line) === true) child.kill("SIGKILL");
  }
  const [code, signal] = await exited;
  return { code, signal };
}

/** Waits until the session of a killed migrator has finished its statement, or has been ended. */
async function untilNoSession(client: pg.Client): Promise<void> {
  const check = async () => {
    if ((await client.query(`select ${MIGRATORS}`)).rowCount !== 0) throw new Error("it is still there");
  };
  await eventually(check, { timeoutMs: BUILD_MS_MAX, describe: "the session of the migrator has ended" });
}

async function readInvalid(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "select indexrelid::regclass::text as name from pg_index where not indisvalid",
  );
  return rows.map(({ name }) => name);
}

async function migrateUnderLoad(findings: Findings, events: number): Promise<void> {
  await using database = await createDatabase();
  await using fresh = await createDatabase();
  const store = await openDatabase({ url: database.url });
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await applySteps(store.db, { "0001-tasks": MIGRATIONS["0001-tasks"] });
    const filledAt = performance.now();
    const filled = await fill(client, events);
    findings.record("tasks filled in", filled.tasks);
    findings.record("events filled in", filled.events);
    findings.record("seconds to fill in", ((performance.now() - filledAt) / 1_000).toFixed(1));

    const load = new OldLoad(database.url);
    try {
      await setTimeout(WARM_MS);
      findings.record("longest call before the migration, ms", Math.round(load.longest.ms));
      load.longest = { name: "", ms: 0, measuredMs: 0, during: "" };
      load.longestLockWaitMs = 0;
      const migratedAt = performance.now();
      const onLine = (line: string) => {
        console.log(`${((performance.now() - migratedAt) / 1_000).toFixed(2)} s  ${line}`);
        load.during = line;
      };
      const killed = async (killAfter: RegExp) => {
        const { signal } = await runMigrator(database.url, { onLine, killAfter });
        findings.expect(signal === "SIGKILL", `the migrator was not killed after ${killAfter}`);
        findings.count("migrators killed");
      };
      // Without a lock timeout, each statement on tasks would wait behind the migration until this transaction ends.
      const reader = await openTransaction(database.url, "select from tasks limit 1");
      const reading = setTimeout(READ_MS).then(() => reader[Symbol.asyncDispose]());
      await killed(BUILDING);
      await reading;
      await untilNoSession(client); // It would wait for the transaction that is opened next.
      {
        await using _older = await openTransaction(database.url, "select 1");
        await killed(WAITING);
        // As a crash of its machine would.
        await client.query(`select pg_terminate_backend(pid) ${MIGRATORS}`);
        await untilNoSession(client);
      }
      const invalid = await readInvalid(client);
      findings.record("invalid indexes after the last kill", invalid.join(", "));
      findings.expect(invalid.length === 1, "the interrupted build left no invalid index");
      const { code } = await runMigrator(database.url, { onLine });
      findings.expect(code === 0, `spool migrate ended with ${code}`);
      findings.record("seconds of migration", ((performance.now() - migratedAt) / 1_000).toFixed(1));
    } finally {
      await load.stop();
    }
    for (const error of load.errors) findings.violation("a statement of the load failed", error);
    findings.record("statements of the load", load.calls);
    findings.record("longest lock wait of the load, ms", Math.round(load.longestLockWaitMs));
    const { name, ms, measuredMs, during } = load.longest;
    const longest = `${ms.toFixed(0)} ms without stalls of the machine, ${measuredMs.toFixed(0)} ms with them`;
    findings.record("longest blocked call", `${name}: ${longest}, during "${during}"`);
    findings.expect(ms <= BLOCKED_MS_MAX, `a call took ${ms.toFixed(0)} ms`);
    findings.expect(load.longestLockWaitMs <= BLOCKED_MS_MAX, `a lock was waited for ${load.longestLockWaitMs} ms`);

    await requireCurrentSchema(store.db);
    const other = await openDatabase({ url: fresh.url });
    await migrate(other.db);
    const [structure, expected] = [await readStructure(store.db), await readStructure(other.db)];
    await other.close();
    const differences = [
      ...structure.filter((part) => !expected.includes(part)).map((part) => `+ ${part}`),
      ...expected.filter((part) => !structure.includes(part)).map((part) => `- ${part}`),
    ];
    if (differences.length > 0) findings.violation("the schema differs from the one of a new database:", differences);
    const { rows } = await client.query<{ tasks: number; events: number; wrong: number }>(COUNT);
    const counts = rows[0]!;
    const stored = { tasks: filled.tasks + load.stored.tasks, events: filled.events + load.stored.events };
    findings.expect(counts.tasks === stored.tasks, `${counts.tasks} tasks of ${stored.tasks}`);
    findings.expect(counts.events === stored.events, `${counts.events} events of ${stored.events}`);
    findings.expect(counts.wrong === 0, `${counts.wrong} tasks that have not ended have the number of an end`);
    findings.record("tasks at the end", counts.tasks);
    findings.record("events at the end", counts.events);
  } finally {
    await client.end();
    await store.close();
  }
}

const { values } = parseArgs({ options: { events: { type: "string" } } });
const events = Number(values.events ?? EVENTS_DEFAULT);
if (!Number.isSafeInteger(events) || events < 1) throw new Error("--events takes a number of events");
await runScenario("migrate-under-load", (findings) => migrateUnderLoad(findings, events), {
  msMax: SCENARIO_MS_MAX_BASE + events * SCENARIO_MS_PER_EVENT,
});
