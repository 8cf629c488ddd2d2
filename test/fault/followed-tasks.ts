// Two replicas run some 2,000 tasks of all sorts; followers of all of them by one stream each, over connections that are
// cut, go from replica to replica. Meanwhile all of Postgres is killed 20 times, beside transactions that take ids and
// write nothing, so that ids are used again. Afterwards what each follower has seen is held against the database: every
// event of every task once, in its task's order.

import { setTimeout } from "node:timers/promises";
import { connect, SpoolRpcError } from "../../src/client/client.ts";
import type { SpoolEvent, StartRequest } from "../../src/client/client.ts";
import { startServer } from "../support/postgres.ts";
import { callAnywhere, isAway } from "./support/anywhere.ts";
import { CuttingRelay } from "./support/cutting-relay.ts";
import { exclusive, flaky, steps } from "./support/kinds.ts";
import { crashPostgres, REUSED } from "./support/postgres-crashes.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import type { Replicas } from "./support/replicas.ts";
import { pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, followerFaults, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";

const REPLICAS = 2;
/** So many tasks at least, and on until the crashes are over. */
const TASKS_MIN = 2_000;
const START_EVERY_MS = 30;
const AT_ONCE = 32;
const CRASHES = 20;
const REUSES_MIN = 5;
/** Started right after each crash: their transactions have the ids that are used again. */
const TASKS_AFTER_CRASH = 40;
/** When all tasks have ended, followers have so long to see it. */
const SEEN_WITHIN_MS = 15_000;
/** Three minutes or less on an idle machine; several times as long on a busy one. */
const MS_MAX = 480_000;
/** Without a frame for so long followers are looked at again. */
const FRAME_MS_MAX = 500;
const RETRY_MS = 100;
const CUT_EVERY_MS = 1_000;
const FOLLOWERS = 3;
const RECONNECTS_MIN = 10;
const CANCELLED_EVERY = 15;
/** A follower is left and another goes on from its cursor, as another process would. */
const FRAMES_EACH = 20;
const LABEL = { scenario: "followed-tasks" };

function requestOf(index: number): StartRequest {
  const request = { requestId: `task-${index}`, labels: LABEL };
  switch (index % 10) {
    case 0:
      return { ...request, kind: steps.name, params: { events: 20, every_ms: 20 } };
    case 1:
      return { ...request, kind: flaky.name, params: { events: 3, failing_attempts: index % 4 }, maxAttempts: 3 };
    case 2:
      return { ...request, kind: exclusive.name, params: { key: `key-${index % 40}`, events: 3, every_ms: 5 } };
    case 3:
      return { ...request, kind: steps.name, params: { events: 600, every_ms: 0 } };
    default:
      return { ...request, kind: "echo", params: { count: 3, delay_ms: index % 5 } };
  }
}

/** Starts tasks until it is over, and those of before again by their request ids, which starts nothing. */
async function startTasks(replicas: Replicas, findings: Findings, signal: AbortSignal): Promise<string[]> {
  const startedAt = performance.now();
  const clients = replicas.map(({ client }) => client);
  const taskIds: string[] = [];
  const startOne = async (index: number) => {
    await setTimeout(Math.max(0, startedAt + START_EVERY_MS * index - performance.now()));
    const { taskId } = (await callAnywhere(clients, (client) => client.start(requestOf(index)))).task;
    taskIds.push(taskId);
    if (index % CANCELLED_EVERY === 0) {
      const { outcome } = await callAnywhere(clients, (client) => client.cancel({ taskId }));
      findings.count(`cancels ${outcome}`);
    }
    const again = await callAnywhere(clients, (client) => client.start(requestOf(index)));
    findings.expect(again.task.taskId === taskId, `request ${index} started two tasks`);
  };
  let next = 0;
  const startOnes = async () => {
    while (!signal.aborted || next < TASKS_MIN) await startOne(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, startOnes));
  return taskIds;
}

interface Seen {
  tapes: Map<string, SpoolEvent[]>;
  ended: number;
  reconnects: number;
  handovers: number;
}

/** Tells when any follower has been given a frame. */
class Frames {
  #come = Promise.withResolvers<void>();

  /** A follower has been given a frame. */
  come(): void {
    this.#come.resolve();
    this.#come = Promise.withResolvers();
  }

  async next(): Promise<void> {
    await Promise.race([this.#come.promise, setTimeout(FRAME_MS_MAX)]);
  }
}

/** Follows every task by one stream after the other until it is over. */
async function followAll(
  address: string,
  seen: Seen,
  { frames, findings, signal }: { frames: Frames; findings: Findings; signal: AbortSignal },
): Promise<void> {
  let cursor: string | undefined;
  while (!signal.aborted) {
    using client = connect({ address, heartbeatMs: 1_000 });
    const onReconnect = ({ state }: { state: string }) => {
      if (state === "resumed") seen.reconnects++;
    };
    let count = 0;
    const query = { labels: LABEL, cursor, fromStart: !cursor };
    try {
      for await (const frame of client.followTasks(query, { onReconnect, signal })) {
        for (const { taskId, events } of frame.tasks) {
          seen.tapes.set(taskId, [...(seen.tapes.get(taskId) ?? []), ...events]);
          if (events.at(-1)?.type === "final") seen.ended++;
        }
        findings.count("frames");
        cursor = frame.cursor;
        frames.come();
        if (++count === FRAMES_EACH) break;
      }
      seen.handovers++;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof SpoolRpcError)) throw error;
      if (isAway(error)) findings.count("times that a client gave up for now");
      else findings.violation("a stream was refused or broke its promise:", String(error));
      await setTimeout(RETRY_MS);
    }
  }
}

/** The cursor of a stream that begins now, of the tasks that are started after a crash. */
async function newestCursor(address: string, crash: number): Promise<string> {
  using client = connect({ address });
  for await (const { cursor } of client.followTasks({ labels: { crash: `${crash}` } })) return cursor;
  throw new Error("a stream over many tasks has ended by itself");
}

/** Goes on at once from a cursor of right before a crash: all that is recorded after the crash must come. */
async function checkCrash(
  replicas: Replicas,
  { crash, cursor }: { crash: number; cursor: string },
  findings: Findings,
): Promise<void> {
  const labels = { crash: `${crash}` };
  const clients = replicas.map(({ client }) => client);
  const starting = Array.from({ length: TASKS_AFTER_CRASH }, (_, index) =>
    callAnywhere(clients, (client) =>
      client.start({ kind: "echo", params: { count: 1 }, labels, requestId: `crash-${crash}-${index}` }),
    ),
  );
  const events = new Map<string, SpoolEvent[]>();
  try {
    const signal = AbortSignal.timeout(SEEN_WITHIN_MS);
    for await (const { tasks } of pick(clients).followTasks({ labels, cursor }, { signal })) {
      for (const task of tasks) events.set(task.taskId, [...(events.get(task.taskId) ?? []), ...task.events]);
      const ended = [...events.values()].filter((tape) => tape.at(-1)?.type === "final");
      if (ended.length === TASKS_AFTER_CRASH) break;
    }
  } catch (error) {
    findings.violation(`crash ${crash}: a cursor of before it does not hold:`, String(error));
  }
  for (const { task } of await Promise.all(starting)) {
    const seqs = (events.get(task.taskId) ?? []).map(({ seq }) => Number(seq));
    const isWhole = seqs.length > 0 && seqs.every((seq, index) => seq === index + 1);
    findings.expect(isWhole, `crash ${crash}: of task ${task.taskId} a follower has seen the events`, seqs);
  }
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

async function runFollowedTasks(findings: Findings): Promise<void> {
  console.log(
    `${TASKS_MIN} tasks or more on ${REPLICAS} replicas, ${FOLLOWERS} followers of all, a cut every ${CUT_EVERY_MS} ms, ` +
      `${CRASHES} crashes of Postgres`,
  );
  // A kill loses what Postgres has not written, not what the disk has not: so restarts need not wait for the disk. And
  // what no commit flushes is to be unflushed still when the kill comes.
  await using server = await startServer({ settings: { fsync: "off", wal_writer_delay: "10s" } });
  await using replicas = await startReplicas({ count: REPLICAS, databaseUrl: server.url });
  await untilReady(replicas);
  await using relay = await CuttingRelay.open(replicas.map(({ address }) => address));
  const frames = new Frames();
  const [seenAll, crashed] = [new AbortController(), new AbortController()];
  const seen = Array.from({ length: FOLLOWERS }, (): Seen => ({
    tapes: new Map(),
    ended: 0,
    reconnects: 0,
    handovers: 0,
  }));
  const following = seen.map((each) => followAll(relay.address, each, { frames, findings, signal: seenAll.signal }));
  const cutting = cutUntil(relay, findings, crashed.signal);
  const starting = startTasks(replicas, findings, crashed.signal);
  const watched = new Map<number, string>();
  const hooks = {
    async beforeCrash(crash: number) {
      watched.set(crash, await newestCursor(pick(replicas).address, crash));
    },
    afterCrash: (crash: number) => checkCrash(replicas, { crash, cursor: watched.get(crash)! }, findings),
  };
  await crashPostgres(server, { crashes: CRASHES, ...hooks }, findings);
  crashed.abort();
  const taskIds = await starting;
  await cutting;
  const clients = replicas.map(({ client }) => client);
  for (const taskId of taskIds)
    await callAnywhere(clients, (client) => client.waitFinal({ taskId, timeoutMs: 30_000 }));
  const until = performance.now() + SEEN_WITHIN_MS;
  const isSeen = () => seen.every(({ ended }) => ended >= taskIds.length);
  while (!isSeen() && performance.now() < until) await frames.next();
  seenAll.abort(new Error("it is over"));
  await Promise.all(following);
  const stored = await readTapes(server.url);
  const followed = new Map([...stored].filter(([taskId]) => taskIds.includes(taskId)));
  findings.record("tasks", followed.size);
  check(followed, seen, findings);
  findings.expect(findings.countOf(REUSED) >= REUSES_MIN, `ids were used again after fewer than ${REUSES_MIN} crashes`);
}

await runScenario("followed-tasks", runFollowedTasks, { msMax: MS_MAX });
