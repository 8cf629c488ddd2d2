// Three replicas run 2,000 tasks of all sorts. One replica is killed every two seconds, but never before the last one
// is up again. Each task is started with a request_id, many of them twice, and followers go from replica to replica.
// Afterwards the scenario compares the database and what the followers read with the promises.

import { setTimeout } from "node:timers/promises";
import type { SpoolClient, StartRequest } from "../../src/client/client.ts";
import { createDatabase } from "../support/postgres.ts";
import { callAnywhere } from "./support/anywhere.ts";
import { followAnywhere } from "./support/followers.ts";
import type { Followed } from "./support/followers.ts";
import { exclusive, flaky, steps } from "./support/kinds.ts";
import { startReplicas } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { inParallel, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, overlaps, readTapes } from "./support/tapes.ts";

const REPLICAS = 3;
const TASKS = 2_000;
const AT_ONCE = 24;
const KILL_EVERY_MS = 2_000;
/** So long at least tasks are started and replicas killed: the starts are spread over it. */
const KILLING_MS = 36_000;
const FOLLOWED_EVERY = 6;
const STARTED_TWICE_EVERY = 5;
const EXCLUSIVE_KEYS = 40;

/** What the nth task is. */
function requestOf(index: number): StartRequest & { requestId: string } {
  const requestId = `task-${index}`;
  switch (index % 20) {
    case 0:
    case 1: // One to three seconds.
      return { requestId, kind: steps.name, params: { events: 20, every_ms: 50 * (1 + (index % 3)) }, maxAttempts: 5 };
    case 2: // Lost with its process, where that dies.
      return { requestId, kind: steps.name, params: { events: 50, every_ms: 20 } };
    case 3:
    case 4:
    case 5: // Fails three times at the most, which is one too many.
      return { requestId, kind: flaky.name, params: { events: 3, failing_attempts: index % 4 }, maxAttempts: 3 };
    case 6: {
      const params = { key: `key-${index % EXCLUSIVE_KEYS}`, events: 3, every_ms: 20 };
      return { requestId, kind: exclusive.name, params, maxAttempts: 3 };
    }
    case 7:
    case 8:
    case 9:
      return { requestId, kind: steps.name, params: { events: 100, every_ms: 0 }, maxAttempts: 2 };
    default:
      return { requestId, kind: "echo", params: { count: 3, delay_ms: index % 5 } };
  }
}

/** Starts a task by way of any replica, as often as it takes. */
async function startAnywhere(
  clients: readonly SpoolClient[],
  findings: Findings,
  request: StartRequest,
): Promise<string> {
  const { task, alreadyStarted } = await callAnywhere(
    clients,
    (client) => client.start(request),
    () => findings.count("starts that failed and were sent again"),
  );
  findings.count("starts answered");
  if (alreadyStarted) findings.count("starts that found their task");
  return task.taskId;
}

async function startTasks(clients: readonly SpoolClient[], findings: Findings, follow: (taskId: string) => void) {
  const startedAt = performance.now();
  await inParallel({ total: TASKS, atOnce: AT_ONCE }, async (index) => {
    // Paces the load, so that every kill hits tasks of each sort.
    await setTimeout(Math.max(0, startedAt + (KILLING_MS * index) / TASKS - performance.now()));
    const start = () => startAnywhere(clients, findings, requestOf(index));
    const taskIds = await Promise.all(index % STARTED_TWICE_EVERY === 0 ? [start(), start()] : [start()]);
    findings.expect(new Set(taskIds).size === 1, `request task-${index} started`, taskIds);
    if (index % FOLLOWED_EVERY === 0) follow(taskIds[0]!);
  });
}

/** Kills one replica after another until the signal fires, each when the one before is up again. */
async function killInTurn(replicas: Replicas, findings: Findings, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const pause = setTimeout(KILL_EVERY_MS, undefined, { signal }).catch(() => {});
    const replica = replicas[turn % REPLICAS]!;
    await replica.kill();
    findings.count("replicas killed");
    await Promise.all([pause, replica.restart()]);
  }
}

async function check(url: string, followed: readonly Followed[], findings: Findings): Promise<void> {
  const tapes = await readTapes(url);
  findings.expect(tapes.size === TASKS, `there are ${tapes.size} tasks of ${TASKS} requests`);
  const requestIds = new Set([...tapes.values()].map(({ requestId }) => requestId));
  findings.expect(requestIds.size === TASKS, `they have ${requestIds.size} request ids`);
  for (const tape of tapes.values()) {
    findings.count(`tasks ${tape.status}`);
    findings.count("attempts", tape.attempt);
    findings.count("events", tape.events.length);
    const faults = faultsOf(tape);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
  }
  for (const overlap of overlaps(tapes.values())) findings.violation("exclusive tasks overlap", overlap);
  for (const { taskId, events, reconnects } of followed) {
    findings.count("tapes followed");
    findings.count("times that a follower came back", reconnects);
    for (const fault of followerFaults(events, tapes.get(taskId)!)) findings.violation(`task ${taskId}:`, fault);
  }
}

await runScenario("replicas", async (findings) => {
  console.log(`${TASKS} tasks on ${REPLICAS} replicas, one of which is killed every ${KILL_EVERY_MS} ms or later`);
  await using database = await createDatabase();
  await using replicas = await startReplicas({
    count: REPLICAS,
    databaseUrl: database.url,
    environment: { SPOOL_LEASE_MS: "3000" },
    retryMs: 0,
    heartbeatMs: 2_000,
  });
  const clients = replicas.map(({ client }) => client);
  const followers: Promise<Followed>[] = [];
  const started = new AbortController();
  const killing = killInTurn(replicas, findings, started.signal);
  await startTasks(clients, findings, (taskId) => {
    const follower = followAnywhere(clients, taskId);
    follower.catch(() => {}); // Thrown where it is awaited, after the last start.
    followers.push(follower);
  });
  started.abort();
  await killing;
  for (let index = 0; index < TASKS; index++) {
    // Asked again by its request, each task says its id, though its first owner be long dead.
    const taskId = await startAnywhere(clients, findings, requestOf(index));
    await callAnywhere(clients, (client) => client.waitFinal({ taskId, timeoutMs: 30_000 }));
  }
  await check(database.url, await Promise.all(followers), findings);
});
