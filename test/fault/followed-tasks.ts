// Two replicas run 2,000 tasks of all sorts; followers of all of them by one stream each, over connections that are
// cut, go from replica to replica. Afterwards what each has seen is held against the database: every event of every
// task once, in its task's order.

import { setTimeout } from "node:timers/promises";
import { connect } from "../../src/client/client.ts";
import type { SpoolEvent, StartRequest } from "../../src/client/client.ts";
import { createDatabase } from "../support/postgres.ts";
import { CuttingRelay } from "./support/cutting-relay.ts";
import { exclusive, flaky, steps } from "./support/kinds.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { inParallel, pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";

const REPLICAS = 2;
const TASKS = 2_000;
const AT_ONCE = 32;
/** So long at least tasks are started and connections cut. */
const STARTING_MS = 25_000;
const CUT_EVERY_MS = 400;
const FOLLOWERS = 3;
const RECONNECTS_MIN = 10;
const CANCELLED_EVERY = 15;
/** A follower is left and another goes on from its cursor, as another process would. */
const FRAMES_EACH = 150;
const LABEL = { scenario: "followed-tasks" };

function requestOf(index: number): StartRequest {
  const request = { requestId: `task-${index}`, labels: LABEL };
  switch (index % 10) {
    case 0:
      return { ...request, kind: steps.name, params: { events: 40, every_ms: 50 } };
    case 1:
      return { ...request, kind: flaky.name, params: { events: 3, failing_attempts: index % 4 }, maxAttempts: 3 };
    case 2:
      return { ...request, kind: exclusive.name, params: { key: `key-${index % 40}`, events: 3, every_ms: 5 } };
    case 3:
      return { ...request, kind: steps.name, params: { events: 1_500, every_ms: 0 } };
    default:
      return { ...request, kind: "echo", params: { count: 3, delay_ms: index % 5 } };
  }
}

async function startTasks(replicas: Replicas, findings: Findings): Promise<string[]> {
  const startedAt = performance.now();
  const taskIds: string[] = [];
  await inParallel({ total: TASKS, atOnce: AT_ONCE }, async (index) => {
    await setTimeout(Math.max(0, startedAt + (STARTING_MS * index) / TASKS - performance.now()));
    const { client } = pick(replicas);
    const { taskId } = (await client.start(requestOf(index))).task;
    taskIds.push(taskId);
    if (index % CANCELLED_EVERY === 0) findings.count(`cancels ${(await client.cancel({ taskId })).outcome}`);
  });
  return taskIds;
}

interface Seen {
  tapes: Map<string, SpoolEvent[]>;
  reconnects: number;
  handovers: number;
}

/** Follows every task by one stream after the other until it has seen as many ends as there are tasks. */
async function followAll(address: string, findings: Findings): Promise<Seen> {
  const seen: Seen = { tapes: new Map(), reconnects: 0, handovers: 0 };
  let ended = 0;
  let cursor: string | undefined;
  while (ended < TASKS) {
    using client = connect({ address, heartbeatMs: 1_000 });
    const onReconnect = ({ state }: { state: string }) => {
      if (state === "resumed") seen.reconnects++;
    };
    let frames = 0;
    for await (const frame of client.followTasks({ labels: LABEL, cursor, fromStart: !cursor }, { onReconnect })) {
      for (const { taskId, events } of frame.tasks) {
        seen.tapes.set(taskId, [...(seen.tapes.get(taskId) ?? []), ...events]);
        if (events.at(-1)?.type === "final") ended++;
      }
      findings.count("frames");
      cursor = frame.cursor;
      if (ended === TASKS || ++frames === FRAMES_EACH) break;
    }
    seen.handovers++;
  }
  return seen;
}

async function cutUntil(relay: CuttingRelay, findings: Findings, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await setTimeout(CUT_EVERY_MS, undefined, { signal }).catch(() => {});
    if (!signal.aborted && relay.cut(pick(["reset", "torn"] as const))) findings.count("cuts");
  }
}

function check(stored: ReadonlyMap<string, StoredTape>, followers: readonly Seen[], findings: Findings): void {
  for (const tape of stored.values()) {
    findings.count(`tasks ${tape.status}`);
    findings.count("events", tape.events.length);
    for (const fault of faultsOf(tape)) findings.violation(`task ${tape.taskId} (${tape.kind}):`, fault);
  }
  for (const { tapes, reconnects, handovers } of followers) {
    findings.expect(tapes.size === stored.size, `a follower has seen ${tapes.size} tasks of ${stored.size}`);
    findings.expect(reconnects >= RECONNECTS_MIN, `a follower came back ${reconnects} times only`);
    findings.count("times that a follower came back", reconnects);
    findings.count("times that another went on from a cursor", handovers - 1);
    for (const tape of stored.values()) {
      for (const fault of followerFaults(tapes.get(tape.taskId) ?? [], tape)) {
        findings.violation(`task ${tape.taskId}:`, fault);
      }
    }
  }
}

await runScenario("followed-tasks", async (findings) => {
  console.log(`${TASKS} tasks on ${REPLICAS} replicas, ${FOLLOWERS} followers of all, a cut every ${CUT_EVERY_MS} ms`);
  await using database = await createDatabase();
  await using replicas = await startReplicas({ count: REPLICAS, databaseUrl: database.url });
  await untilReady(replicas);
  await using relay = await CuttingRelay.open(replicas.map(({ address }) => address));
  const followers = Array.from({ length: FOLLOWERS }, () => followAll(relay.address, findings));
  const over = new AbortController();
  const cutting = cutUntil(relay, findings, over.signal);
  const taskIds = await startTasks(replicas, findings);
  for (const taskId of taskIds) await pick(replicas).client.waitFinal({ taskId, timeoutMs: 30_000 });
  over.abort();
  await cutting;
  const seen = await Promise.all(followers);
  const stored = await readTapes(database.url);
  const followed = new Map([...stored].filter(([taskId]) => taskIds.includes(taskId)));
  check(followed, seen, findings);
});
