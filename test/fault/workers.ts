// 1,000 tasks of all sorts run at six workers, which reach two servers through a relay that cuts their connections 300
// times, each to either server and some without a word; a worker is killed every three seconds and another stopped in
// order now and then. Afterwards the tapes are held against what is promised, and against what each worker has written
// down of the events that it was told are stored.

import assert from "node:assert/strict";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { SpoolClient } from "../../src/client/client.ts";
import { CRASHES_MAX } from "../../src/domain/limits.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { CUT_MANNERS, CuttingRelay } from "./support/cutting-relay.ts";
import type { CutManner } from "./support/cutting-relay.ts";
import { startReplicas } from "./support/replicas.ts";
import { inParallel, pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { readTapes } from "./support/tapes.ts";
import { startCrew } from "./support/worker-crew.ts";
import type { Crew, CrewMember } from "./support/worker-crew.ts";
import { checkWorkers } from "./support/worker-findings.ts";
import { readNotes } from "./support/worker-notes.ts";
import { plannedTask } from "./support/worker-tasks.ts";

const SCENARIO_MS_MAX = 240_000;
const SERVERS = 2;
const CREW = { typescript: 4, python: 2 };
const CONCURRENCY = 8;
const TASKS = 1_000;
const AT_ONCE = 200;
const CUTS = 300;
const CUT_EVERY_MS = 320;
/** One in so many is silent, in each of the ways in which it can be. */
const SILENT_EVERY = 10;
const KILL_EVERY_MS = 3_000;
/** With every so many-th kill another worker is stopped in order. */
const STOP_EVERY = 3;
/** So long at least tasks are started and workers killed and cut off: the starts are spread over it. */
const CUTTING_MS = CUTS * CUT_EVERY_MS;
/** A task is cancelled once it has so many events. */
const CANCEL_AT_SEQ = 5n;
const LEASE_MS = 3_000;
const GRACE_MS = 1_000;
const ENDS_MS_MAX = 45_000;

async function startTasks(clients: readonly SpoolClient[], findings: Findings): Promise<void> {
  const startedAt = performance.now();
  await inParallel({ total: TASKS, atOnce: AT_ONCE }, async (index) => {
    // Paces the load, so that each cut and kill hits tasks of each sort.
    await setTimeout(Math.max(0, startedAt + (CUTTING_MS * index) / TASKS - performance.now()));
    const { request, isCancelled } = plannedTask(index);
    const { task } = await pick(clients).start(request);
    if (!isCancelled) return;
    for await (const event of pick(clients).follow(task)) if (event.seq >= CANCEL_AT_SEQ) break;
    const { outcome } = await pick(clients).cancel(task);
    findings.count(`cancels answered ${outcome}`);
  });
}

/** Cuts one connection after the other, as often as it was asked to. */
async function cutAtRandom(relay: CuttingRelay, findings: Findings): Promise<void> {
  for (let cuts = 0; cuts < CUTS;) {
    await setTimeout(CUT_EVERY_MS * (0.5 + Math.random()));
    const manner = mannerOf(cuts);
    if (!relay.cut(manner)) continue;
    cuts++;
    findings.count("cuts");
    findings.count(`cuts, ${manner}`);
  }
}

function mannerOf(cut: number): CutManner {
  const silent = CUT_MANNERS.filter((manner) => manner.startsWith("silent"));
  return silent[cut % SILENT_EVERY] ?? pick(["reset", "torn"]);
}

/** Kills one worker after another, and stops one now and then, until the signal fires. */
async function replaceInTurn(crew: Crew, findings: Findings, signal: AbortSignal): Promise<void> {
  const stops: Promise<void>[] = [];
  const stop = async (worker: CrewMember) => {
    const ended = await worker.replace("SIGTERM");
    if (ended === null) return;
    findings.count("workers stopped in order");
    findings.expect(ended.exitCode === 0, `${worker.name} was stopped, and exited with ${ended.exitCode}`);
  };
  for (let turn = 0; !signal.aborted; turn++) {
    await setTimeout(KILL_EVERY_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    if ((await crew[turn % crew.length]!.replace("SIGKILL")) !== null) findings.count("workers killed");
    if (turn % STOP_EVERY === 0) stops.push(stop(crew[(turn + crew.length / 2) % crew.length]!));
  }
  await Promise.all(stops);
}

async function untilAllEnd(clients: readonly SpoolClient[]): Promise<void> {
  const check = async () => {
    const left = await Array.fromAsync(
      pick(clients).list({ statuses: ["pending", "running"] }),
      ({ taskId, kind, status }) => `${taskId} ${kind} ${status}`,
    );
    if (left.length > 0) throw new Error(left.join(", "));
  };
  await eventually(check, { timeoutMs: ENDS_MS_MAX, describe: "every task has ended" });
}

async function expectSessions(clients: readonly SpoolClient[], count: number): Promise<void> {
  const { sessions } = await pick(clients).sessions();
  assert.equal(sessions.length, count);
}

async function workers(findings: Findings): Promise<void> {
  console.log(
    `${TASKS} tasks at ${Object.values(CREW).join(" + ")} workers of ${SERVERS} servers, cut off ${CUTS} times`,
  );
  await using folder = await mkdtempDisposable(join(tmpdir(), "spool-workers-"));
  await using database = await createDatabase();
  await using replicas = await startReplicas({
    count: SERVERS,
    databaseUrl: database.url,
    environment: {
      SPOOL_LEASE_MS: `${LEASE_MS}`,
      SPOOL_PACK_AFTER: "0",
      SPOOL_CANCEL_GRACE_MS: `${GRACE_MS}`,
      // The scenario kills workers at random: three in a row may have had the same task, which is not to blame.
      SPOOL_CRASHES_MAX: `${CRASHES_MAX}`,
    },
  });
  await using relay = await CuttingRelay.open(replicas.map(({ address }) => address));
  await using crew = startCrew(CREW, {
    address: relay.address,
    folder: folder.path,
    concurrency: CONCURRENCY,
    onPrinted: ({ name }, line) => findings.violation(`${name} printed`, line),
    onDied: ({ name }, how) => findings.violation(`${name} ended by itself with ${how}`),
  });
  const clients = replicas.map(({ client }) => client);
  // A worker that is asked to stop before it has begun ends by the signal.
  await eventually(() => expectSessions(clients, SERVERS + crew.length), { describe: "every worker has a session" });
  const over = new AbortController();
  const replacing = replaceInTurn(crew, findings, over.signal);
  await Promise.all([startTasks(clients, findings), cutAtRandom(relay, findings)]);
  over.abort();
  await replacing;
  const quietAt = performance.now();
  await untilAllEnd(clients).catch((error: unknown) => findings.violation("tasks are left", error));
  findings.record("from the last cut to the last end, s", ((performance.now() - quietAt) / 1_000).toFixed(1));
  const notes = readNotes(folder.path);
  const tapes = await readTapes(database.url);
  checkWorkers(findings, { tapes, tasks: TASKS, concurrency: CONCURRENCY, crew, notes });
}

await runScenario("workers", workers, { msMax: SCENARIO_MS_MAX });
