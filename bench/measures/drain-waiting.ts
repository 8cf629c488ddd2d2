import { setTimeout } from "node:timers/promises";
import pg from "pg";
import { query } from "../databases.ts";
import { addWaitingTasks, settleTasks } from "../waiting-tasks.ts";

/** When the tasks fall due: until then, they are made and the tables are cleaned, also on a slow machine. */
const DUE_MS = 5_000;
const DUE_MS_PER_TASK = 0.5;
const EARLY_MS = 300;
const POLL_MS = 50;

let last = 0;

/**
 * Adds pending tasks that all fall due at one time. Before that time, calls back with a function that resolves to their
 * number once they have ended: so the making of the tasks is in no measurement.
 *
 * @throws if the tasks began before the call, or ended otherwise than they have to
 */
export async function drainWaiting<Result>(
  { databaseUrl, tasks, kind }: { databaseUrl: string; tasks: number; kind: string },
  measure: (drained: () => Promise<number>) => Promise<Result>,
): Promise<Result> {
  const first = last + 1;
  last += tasks;
  const params = JSON.stringify({ events: 0 });
  const runAt = new Date(Date.now() + DUE_MS + tasks * DUE_MS_PER_TASK);
  await addWaitingTasks(databaseUrl, { first, last }, { kind, params, runAt });
  await settleTasks(databaseUrl);
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const lastTask = `select extract(epoch from run_at - clock_timestamp())::float8 * 1000 as "dueMs", status
    from tasks where task_id = ('00000000-0000-7000-9000-' || lpad(to_hex(${last}), 12, '0'))::uuid`;
  const readLast = async () => (await client.query<{ dueMs: number; status: string }>(lastTask)).rows[0]!;
  try {
    const { dueMs } = await readLast();
    if (dueMs < 0) throw new Error(`${tasks} waiting tasks were not there before they fell due`);
    await setTimeout(Math.max(0, dueMs - EARLY_MS));
    const result = await measure(async () => {
      // The order of claims is that of the due times, then that of the ids.
      while (["pending", "running"].includes((await readLast()).status)) await setTimeout(POLL_MS);
      return tasks;
    });
    await assertEnded(databaseUrl);
    return result;
  } finally {
    await client.end();
  }
}

/** The last of the tasks may end before some that ran beside it. */
async function assertEnded(databaseUrl: string): Promise<void> {
  const unended = `select status from tasks where params_digest = 'waiting' and status <> 'succeeded' limit 1`;
  for (;;) {
    const [row] = await query<{ status: string }>(databaseUrl, unended);
    if (row === undefined) return;
    if (!["pending", "running"].includes(row.status)) throw new Error(`a waiting task has ${row.status}`);
    await setTimeout(POLL_MS);
  }
}
