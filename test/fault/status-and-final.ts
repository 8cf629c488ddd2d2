// Readers poll a server as fast as they can while 2,000 short tasks run: nobody ever sees a terminal status without
// `final`, nor `final` with a status that is not terminal. The same is asked of the database, one snapshot at a time.

import pg from "pg";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { isTerminal } from "../../src/domain/task.ts";
import { createDatabase, stopPostgres } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";

const TASKS = 2_000;
const AT_ONCE = 16;
const EVENTS_A_TASK = 3;
const EVENT_DELAY_MS = 2;

const counts = { tasks: 0, pages: 0, "tasks read": 0, "SQL snapshots": 0, violations: 0 };

/** In one snapshot: tasks whose status and last event disagree. */
const DISAGREEING = `
select count(*)::int as tasks from tasks t
where (t.status in ('succeeded', 'failed', 'cancelled'))
   <> exists (select from task_events e where e.task_id = t.task_id and e.type = 'final' and e.seq = t.last_seq)`;

async function runTask(client: SpoolClient): Promise<void> {
  const { task } = await client.start({ kind: "echo", params: { count: EVENTS_A_TASK, delay_ms: EVENT_DELAY_MS } });
  await Promise.all([pollEvents(client, task.taskId), pollTask(client, task.taskId)]);
  counts.tasks++;
}

/** Reads pages of the whole tape until one is terminal: it, and each before it, must agree with itself. */
async function pollEvents(client: SpoolClient, taskId: string): Promise<void> {
  for (;;) {
    const page = await client.events({ taskId });
    counts.pages++;
    const hasFinal = page.events.at(-1)?.type === "final";
    if (hasFinal !== isTerminal(page.status) || page.lastSeq !== BigInt(page.events.length)) violation("page", page);
    if (hasFinal) return;
  }
}

/** Reads the row until it is terminal: from then on the tape must have its final event, and the result be there. */
async function pollTask(client: SpoolClient, taskId: string): Promise<void> {
  for (;;) {
    const task = await client.get({ taskId });
    counts["tasks read"]++;
    if (!isTerminal(task.status)) continue;
    const page = await client.events({ taskId, fromSeq: task.lastSeq });
    if (page.events.length !== 1 || page.events[0]!.type !== "final") violation("task", page);
    const { status } = await client.result({ taskId });
    if (status !== task.status) violation("result", status);
    return;
  }
}

async function pollDatabase(database: pg.Client, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { rows } = await database.query<{ tasks: number }>(DISAGREEING);
    counts["SQL snapshots"]++;
    if (rows[0]!.tasks > 0) violation("snapshot", rows[0]);
  }
}

function violation(where: string, what: unknown): void {
  counts.violations++;
  console.error(`violation in a ${where}:`, what);
}

async function main(): Promise<void> {
  await using database = await createDatabase();
  await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
  using client = connect({ address: server.address });
  const sql = new pg.Client(database.url);
  await sql.connect();
  const finished = new AbortController();
  const watching = pollDatabase(sql, finished.signal);
  let left = TASKS;
  const runTasks = async () => {
    while (left-- > 0) await runTask(client);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runTasks));
  finished.abort();
  await watching;
  await sql.end();
}

console.log(`${TASKS} tasks of ${EVENTS_A_TASK} progress events, ${AT_ONCE} at once, each read by two pollers`);
try {
  await main();
} finally {
  await stopPostgres();
}
for (const [name, count] of Object.entries(counts)) console.log(`${name}: ${count}`);
const isSound = counts.violations === 0 && counts.tasks === TASKS && counts["SQL snapshots"] > 0;
console.log(`status-and-final: ${isSound ? "ok" : `BROKEN (${counts.violations} violations, ${counts.tasks} tasks)`}`);
process.exitCode = isSound ? 0 : 1;
