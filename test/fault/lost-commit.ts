// The connection to Postgres is cut 500 times right after the database has committed a flush and before the server has
// its answer. The flush is sent again each time, and recognised: nothing is on a tape twice, and nothing is missing.

import { randomInt } from "node:crypto";
import pg from "pg";
import type { StartRequest } from "../../src/client/client.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { createDatabase } from "../support/postgres.ts";
import { followAnywhere } from "./support/followers.ts";
import type { Followed } from "./support/followers.ts";
import { flaky, steps } from "./support/kinds.ts";
import { startReplicas } from "./support/replicas.ts";
import { pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, readTapes } from "./support/tapes.ts";

const CUTS = 500;
const TASKS_AT_ONCE = 12;
/** Up to so many flushes are let through before the next is cut; none at times: the one that is sent again. */
const LET_THROUGH_MAX = 4;
/** How many connections there have been: each cut costs one. */
const OPENED = `select sessions::int from pg_stat_database where datname = current_database()`;

/** Tasks that start, append much or little, and end; some end at once, so that start and end share few flushes. */
function anyRequest(requestId: string | undefined): StartRequest {
  return pick<StartRequest>([
    { kind: steps.name, params: { events: 40, every_ms: 4 }, requestId },
    { kind: steps.name, params: { events: 200, every_ms: 0 }, requestId },
    { kind: steps.name, params: { events: 0, every_ms: 0 }, requestId },
    { kind: "echo", params: { count: 5, delay_ms: 3 }, requestId },
    { kind: flaky.name, params: { events: 3, failing_attempts: 1 }, maxAttempts: 2, requestId },
  ]);
}

await runScenario("lost-commit", async (findings) => {
  console.log(
    `${CUTS} answers to committed flushes are cut off while ${TASKS_AT_ONCE} tasks at once start, run and end`,
  );
  await using database = await createDatabase();
  await using proxy = await startCuttingProxy(database.url);
  await using replicas = await startReplicas({
    count: 1,
    databaseUrl: proxy.url,
    environment: { SPOOL_NOTIFY: "off" },
    retryMs: 0, // A start that is sent twice would hide one that is stored twice.
  });
  const { client } = replicas[0]!;
  const started = new Map<string, Followed>();
  const isOver = new AbortController();

  async function runTasks(): Promise<void> {
    while (!isOver.signal.aborted) {
      const request = anyRequest(crypto.randomUUID());
      const { task, alreadyStarted } = await client.start(request);
      findings.count("starts answered");
      // It was sent once: a commit that was found again is its own, and no earlier start's.
      findings.expect(!alreadyStarted, `task ${task.taskId} was answered as started before`);
      findings.expect(!started.has(task.taskId), `task ${task.taskId} was started twice`);
      started.set(task.taskId, await followAnywhere([client], task.taskId));
    }
  }

  const running = Promise.all(Array.from({ length: TASKS_AT_ONCE }, runTasks));
  const cutting = async () => {
    for (let cut = 0; cut < CUTS; cut++) {
      await proxy.cutAnswerTo("spool_flush", randomInt(LET_THROUGH_MAX));
      findings.count("cuts");
    }
    isOver.abort();
  };
  await Promise.race([cutting(), running]);
  await running;

  const tapes = await readTapes(database.url);
  findings.record("tasks", tapes.size);
  findings.expect(tapes.size === started.size, `${tapes.size} tasks were stored for ${started.size} starts`);
  for (const tape of tapes.values()) {
    findings.count("events", tape.events.length);
    const faults = faultsOf(tape);
    const followed = started.get(tape.taskId);
    if (followed === undefined) faults.push("nobody was told of its start");
    else faults.push(...followerFaults(followed.events, tape));
    // The cuts are hidden from callers and from the code: nothing fails that would not have failed without them.
    if (tape.status !== "succeeded") faults.push(`it is ${tape.status}`);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
  }
  await countConnections(database.url, findings);
});

async function countConnections(url: string, findings: Findings): Promise<void> {
  const sql = new pg.Client(url);
  await sql.connect();
  const { rows } = await sql.query<{ sessions: number }>(OPENED);
  findings.record("connections opened to the database", rows[0]!.sessions);
  await sql.end();
}
