// Two replicas run 200 tasks of all sorts, each followed, while their database is in trouble for 5 s: a lock or statement
// timeout, a full disk, a changed password, and more. Then everything ends within 30 s, each task as its code did; the
// database and what the followers saw are held against what is promised. `-- NAME…` takes only troubles of these names.

import { setTimeout } from "node:timers/promises";
import pg from "pg";
import type { SpoolClient, StartRequest } from "../../src/client/client.ts";
import { eventually } from "../support/eventually.ts";
import { startServer } from "../support/postgres.ts";
import type { PostgresServer } from "../support/postgres.ts";
import { callAnywhere } from "./support/anywhere.ts";
import { followAnywhere } from "./support/followers.ts";
import type { Followed } from "./support/followers.ts";
import { exclusive, flaky, steps } from "./support/kinds.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, overlaps, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";
import { admitRole, mountVolume, ROLE, runStatement, TROUBLES, urlOf } from "./support/troubles.ts";
import type { Scene, Trouble } from "./support/troubles.ts";

const SCENARIO_MS_MAX = 15 * 60_000;
const REPLICAS = 2;
const SLOTS = 150;
const TASKS = 200;
/** Of the starts; the trouble begins in the middle of them. */
const STARTING_MS = 6_000;
const BEFORE_MS = 3_000;
const TROUBLE_MS = 5_000;
const ENDED_MS_MAX = 30_000;

/** How the request ids of the planned tasks begin. */
const REQUEST = "trouble-";

/** What a task is to be, and how it is to end. */
interface Plan {
  request: StartRequest & { requestId: string };
  /** With how many attempts; null: it is cancelled, while it runs or as soon as the database is back. */
  attempts: number | null;
  status: "succeeded" | "failed";
}

/** Long and short ones, much at once, failures, retries, keys, and some that are cancelled amid the trouble. */
function planOf(index: number): Plan {
  const requestId = `${REQUEST}${index}`;
  const plan = (request: StartRequest, attempts: number | null = 1, status: Plan["status"] = "succeeded"): Plan => ({
    request: { ...request, requestId },
    attempts,
    status,
  });
  switch (index % 10) {
    case 0:
    case 1:
      return plan({ kind: steps.name, params: { events: 80, every_ms: 100 }, maxAttempts: 3 });
    case 2:
      return plan({ kind: steps.name, params: { events: 30, every_ms: 100 } });
    case 3: // More than a writer holds.
      return plan({ kind: steps.name, params: { events: 1_200, every_ms: 0 } });
    case 4:
      return plan({ kind: flaky.name, params: { events: 3, failing_attempts: 1 }, maxAttempts: 3 }, 2);
    case 5:
      return plan({ kind: flaky.name, params: { events: 3, failing_attempts: 1 } }, 1, "failed");
    case 6: {
      const params = { key: `key-${index % 7}`, events: 2, every_ms: 100 };
      return plan({ kind: exclusive.name, params });
    }
    case 7: // Runs for long enough that a cancel finds it running, however late the database is back.
      return plan({ kind: steps.name, params: { events: 300, every_ms: 100 } }, null);
    default:
      return plan({ kind: "echo", params: { count: 3, delay_ms: 200 } });
  }
}

/** Starts all tasks, follows each, and cancels some amid the trouble. @returns the followers, once all that is done */
async function runTasks(clients: readonly SpoolClient[], refused: () => void): Promise<Promise<Followed>[]> {
  const startedAt = performance.now();
  const followers: Promise<Followed>[] = [];
  await inParallel({ total: TASKS, atOnce: TASKS }, async (index) => {
    await setTimeout((STARTING_MS * index) / TASKS); // Paces the load: tasks are at every stage when the trouble begins.
    const { request, attempts } = planOf(index);
    const { task } = await callAnywhere(clients, (client) => client.start(request), refused);
    const follower = followAnywhere(clients, task.taskId);
    follower.catch(() => {}); // Thrown where it is awaited, after the last end.
    followers.push(follower);
    if (attempts !== null) return;
    await setTimeout(Math.max(0, startedAt + BEFORE_MS + TROUBLE_MS / 2 - performance.now()));
    await callAnywhere(clients, (client) => client.cancel({ taskId: task.taskId }));
  });
  return followers;
}

async function readUnended(url: string): Promise<string[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const unended = "select task_id from tasks where finished_at is null";
    return (await client.query<{ task_id: string }>(unended)).rows.map(({ task_id: taskId }) => taskId);
  } finally {
    await client.end();
  }
}

function planFaults({ status, attempt, requestId }: StoredTape): string[] {
  const plan = planOf(Number(requestId!.slice(REQUEST.length)));
  if (plan.attempts === null) return status === "cancelled" ? [] : [`a task that was cancelled is ${status}`];
  const isAsPlanned = status === plan.status && attempt === plan.attempts;
  return isAsPlanned ? [] : [`it is ${status} in attempt ${attempt}, not ${plan.status} in attempt ${plan.attempts}`];
}

async function checkTapes(url: string, followed: readonly Followed[], findings: Findings): Promise<number> {
  const before = findings.violations;
  const tapes = await readTapes(url);
  const planned = [...tapes.values()].filter(({ requestId }) => requestId?.startsWith(REQUEST));
  findings.expect(planned.length === TASKS, `there are ${planned.length} tasks of ${TASKS} requests`);
  for (const tape of planned) {
    const faults = [...faultsOf(tape), ...planFaults(tape)];
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults, tape.events.at(-1));
  }
  for (const overlap of overlaps(planned)) findings.violation("exclusive tasks overlap", overlap);
  for (const { taskId, events } of followed) {
    for (const fault of followerFaults(events, tapes.get(taskId)!)) findings.violation(`task ${taskId}:`, fault);
  }
  return findings.violations - before;
}

/** Makes the service's database, runs the load, and has its trouble in the middle. */
async function suffer(server: PostgresServer, trouble: Trouble, volume: string | null, findings: Findings) {
  const name = `trouble_${TROUBLES.indexOf(trouble)}`;
  const operate = (sql: string) => runStatement(server.url, sql);
  const operateInside = (sql: string) => runStatement(urlOf(server, name), sql);
  const scene: Scene = { server, operate, operateInside, name, volume };
  await operate(`create database ${name} owner ${ROLE}${trouble.onVolume === true ? " tablespace small" : ""}`);
  const url = new URL(urlOf(server, name, ROLE));
  if (trouble.options !== undefined) url.searchParams.set("options", trouble.options);
  await using replicas = await startReplicas({
    count: REPLICAS,
    databaseUrl: url.href,
    environment: { SPOOL_SLOTS: `${SLOTS}`, SPOOL_LOG_LEVEL: "fatal" },
    retryMs: 0,
    heartbeatMs: 2_000,
  });
  await untilReady(replicas);
  const clients = replicas.map(({ client }) => client);
  let refused = 0;
  const starting = runTasks(clients, () => refused++);
  await setTimeout(BEFORE_MS);
  const end = await trouble.begin(scene);
  await setTimeout(TROUBLE_MS);
  await end();
  const endedAt = performance.now();
  const followers = await starting;
  await eventually(
    async () => {
      const left = await readUnended(url.href);
      if (left.length > 0) throw new Error(`${left.length} tasks have not ended, ${left[0]} among them`);
    },
    { timeoutMs: 3 * ENDED_MS_MAX, describe: `all tasks have ended after ${trouble.name}` },
  ).catch((error: unknown) => findings.violation(String(error)));
  const tookMs = performance.now() - endedAt;
  findings.expect(tookMs <= ENDED_MS_MAX, `${trouble.name}: not all had ended ${ENDED_MS_MAX / 1_000} s after its end`);
  const violations = await checkTapes(urlOf(server, name), await Promise.all(followers), findings);
  const columns = [trouble.name.padEnd(28), `${TASKS}`.padStart(5), `${refused}`.padStart(16)];
  console.log([...columns, (tookMs / 1_000).toFixed(1).padStart(14), `${violations}`.padStart(11)].join(" "));
}

await runScenario(
  "database-trouble",
  async (findings) => {
    const names = process.argv.slice(2);
    const wanted = TROUBLES.filter(({ name }) => names.length === 0 || names.includes(name));
    console.log(`${TASKS} tasks on ${REPLICAS} replicas, their database in trouble for ${TROUBLE_MS / 1_000} s`);
    console.log(`${"trouble".padEnd(28)} tasks refused (retried) all ended, s  violations`);
    await using server = await startServer();
    await admitRole(server);
    const volume = wanted.some(({ onVolume }) => onVolume) ? mountVolume() : null;
    try {
      if (volume !== null) await runStatement(server.url, `create tablespace small location '${volume.folder}'`);
      for (const trouble of wanted) {
        if (trouble.onVolume === true && volume === null) {
          findings.violation(`${trouble.name}: not tried, for this process may not mount a volume`);
          continue;
        }
        await suffer(server, trouble, volume?.folder ?? null, findings);
      }
    } finally {
      await server[Symbol.asyncDispose]();
      volume?.unmount();
    }
    findings.record("troubles", wanted.length);
  },
  { msMax: SCENARIO_MS_MAX },
);
