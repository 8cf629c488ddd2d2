// The bounds of docs/guarantees.md, at the default settings. A process that is killed: its tasks have ended or run
// elsewhere within 15 s. A cancel: `final` within 10 s, though the code ignores its signal, and though its process
// stands still. What goes on in a process after its task was taken is refused.

import { mkdtempDisposable, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { quantile } from "../../bench/statistics.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { steps, stubborn } from "./support/kinds.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import type { Replica } from "./support/replicas.ts";
import { runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, readTapes } from "./support/tapes.ts";

const TAKEN_MS_MAX = 15_000;
const CANCELLED_MS_MAX = 10_000;
const KILL_ROUNDS = 2;
/** Longer than the scenario: nothing ends by itself. */
const FOREVER_MS = 120_000;

/** Waits until a task has ended, or runs again in its second attempt. @returns the ms since `since` */
async function untilTaken(client: SpoolClient, taskId: string, since: number): Promise<number> {
  for await (const event of client.follow({ taskId })) {
    if (event.type === "final" || (event.type === "started" && event.attempt === 2)) break;
  }
  return performance.now() - since;
}

function report(findings: Findings, name: string, tookMs: readonly number[], msMax: number): void {
  const max = Math.max(...tookMs);
  const figures = `p50 ${(quantile(tookMs, 0.5) / 1_000).toFixed(1)}, max ${(max / 1_000).toFixed(1)}`;
  findings.record(`${name}, s`, `${figures} of ${tookMs.length}`);
  findings.expect(max <= msMax, `${name} took ${max} ms, the bound is ${msMax} ms`);
}

/** Kills two replicas at once, each with two tasks: one that ends with its attempt, and one that has another. */
async function killRounds(findings: Findings, victims: readonly Replica[], survivor: SpoolClient): Promise<void> {
  const tookMs: number[] = [];
  for (let round = 0; round < KILL_ROUNDS; round++) {
    await untilReady(victims); // Else another replica may take the task, and the kill not touch it.
    const took = victims.map(async (victim) => {
      const start = async (maxAttempts: number) => {
        const params = { events: 1_000, every_ms: 100 };
        const { task } = await victim.client.start({ kind: steps.name, params, maxAttempts });
        return task.taskId;
      };
      const taskIds = await Promise.all([start(1), start(2)]);
      const killedAt = performance.now();
      await victim.kill();
      const taken = taskIds.map((taskId) => untilTaken(survivor, taskId, killedAt));
      await victim.restart();
      tookMs.push(...(await Promise.all(taken)));
      await survivor.cancel({ taskId: taskIds[1]! });
      await survivor.waitFinal({ taskId: taskIds[1]!, timeoutMs: CANCELLED_MS_MAX });
    });
    await Promise.all(took);
  }
  report(findings, "killed to ended or running elsewhere", tookMs, TAKEN_MS_MAX);
}

/** Starts a task whose code never stops by itself, and says where it writes what is refused. */
async function startStubborn(replica: Replica, folder: string, maxAttempts = 1) {
  const file = join(folder, crypto.randomUUID());
  const params = { for_ms: FOREVER_MS, refused_file: file };
  const { task } = await replica.client.start({ kind: stubborn.name, params, maxAttempts });
  return { taskId: task.taskId, file };
}

/** Cancels by way of another replica. @returns the ms until `final` */
async function cancelThere(findings: Findings, other: SpoolClient, taskId: string): Promise<number> {
  const cancelledAt = performance.now();
  const { outcome } = await other.cancel({ taskId });
  findings.expect(outcome === "requested", `the cancel was answered ${outcome}`);
  const { status } = await other.waitFinal({ taskId, timeoutMs: 2 * CANCELLED_MS_MAX });
  findings.expect(status === "cancelled", `the task ended ${status}`);
  return performance.now() - cancelledAt;
}

/** Waits until the old code has been refused, and holds the tape against what it was before. */
async function expectRefused(findings: Findings, other: SpoolClient, task: { taskId: string; file: string }) {
  const before = await other.get(task);
  const lines = await eventually(() => readFile(task.file, "utf8"), { describe: "the old code has been refused" });
  const { reason } = JSON.parse(lines.split("\n")[0]!) as { reason: string };
  findings.expect(reason === "LEASE_LOST", `the old code was refused with ${reason}`);
  findings.count(`emits refused with ${reason}`);
  const after = await other.get(task);
  findings.expect(after.lastSeq === before.lastSeq, `the tape of ${task.taskId} went on after its final`);
}

/** Code that does not look at its signal, in a process that is well. */
async function cancelBusy(findings: Findings, owner: Replica, other: SpoolClient, folder: string): Promise<void> {
  const tasks = await Promise.all([1, 2, 3, 4].map(() => startStubborn(owner, folder)));
  const tookMs = await Promise.all(tasks.map(({ taskId }) => cancelThere(findings, other, taskId)));
  report(findings, "cancel to final, the code ignores it", tookMs, CANCELLED_MS_MAX);
  for (const task of tasks) await expectRefused(findings, other, task);
}

/**
 * A process that stands still: one task of it is cancelled, one is taken when the session has run out and runs
 * elsewhere. When the process goes on, both are refused.
 */
async function cancelStopped(findings: Findings, owner: Replica, other: SpoolClient, folder: string): Promise<void> {
  const [cancelled, retried] = await Promise.all([startStubborn(owner, folder), startStubborn(owner, folder, 2)]);
  const stoppedAt = performance.now();
  owner.signal("SIGSTOP");
  const tookMs = await cancelThere(findings, other, cancelled.taskId);
  report(findings, "cancel to final, the process is stopped", [tookMs], CANCELLED_MS_MAX);
  const takenMs = await untilTaken(other, retried.taskId, stoppedAt);
  report(findings, "stopped to running elsewhere", [takenMs], TAKEN_MS_MAX);
  owner.signal("SIGCONT");
  await expectRefused(findings, other, cancelled);
  const { attempt } = await other.get(retried);
  findings.expect(attempt === 2, `the task that ran on elsewhere is in attempt ${attempt}`);
  await cancelThere(findings, other, retried.taskId);
  await expectRefused(findings, other, retried);
}

/**
 * A process that stands still with a task's row locked: it was about to record a cancel. The database must not wait
 * for it, or nobody could end the task, and every sweeper would stand still with it.
 */
async function stopInTransaction(findings: Findings, url: string, owner: Replica, other: SpoolClient): Promise<void> {
  const { task } = await owner.client.start({ kind: steps.name, params: { events: 10_000, every_ms: 5_000 } });
  const sql = new pg.Client(url);
  await sql.connect();
  await sql.query("begin");
  await sql.query("select from tasks where task_id = $1 for update", [task.taskId]);
  const unanswered = owner.client.cancel({ taskId: task.taskId }).catch(() => {}); // Its process does not get to it.
  await eventually(async () => {
    const { rows } = await sql.query("select from pg_locks where not granted");
    if (rows.length === 0) throw new Error("nobody waits for the lock");
  });
  owner.signal("SIGSTOP");
  await sql.query("commit"); // The lock is given to the transaction of the process that stands still.
  await sql.end();
  const tookMs = await untilTaken(other, task.taskId, performance.now());
  report(findings, "stopped within a transaction to ended", [tookMs], TAKEN_MS_MAX);
  await owner.kill();
  await unanswered;
}

await runScenario("bounds", async (findings) => {
  console.log("six replicas at the default settings: processes killed and stopped, code that ignores its cancel");
  await using folder = await mkdtempDisposable(join(tmpdir(), "spool-refused-"));
  await using database = await createDatabase();
  await using replicas = await startReplicas({ count: 6, databaseUrl: database.url, retryMs: 0 });
  const [survivor, busy, stopped, locked, ...victims] = replicas;
  const other = survivor!.client;
  await untilReady(replicas);
  await killRounds(findings, victims, other);
  await cancelBusy(findings, busy!, other, folder.path);
  await cancelStopped(findings, stopped!, other, folder.path);
  await stopInTransaction(findings, database.url, locked!, other);
  const tapes = await readTapes(database.url);
  findings.record("tasks", tapes.size);
  for (const tape of tapes.values()) {
    const faults = faultsOf(tape);
    if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
  }
});
