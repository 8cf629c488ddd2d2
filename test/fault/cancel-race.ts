// Two replicas. A cancel that is sent to the one works on a task that runs on the other; and 1,000 tasks are cancelled
// while they end by themselves: each has one final, and every answer to a cancel agrees with it.

import { setTimeout } from "node:timers/promises";
import { quantile } from "../../bench/statistics.ts";
import type { CancelledTask, SpoolClient } from "../../src/client/client.ts";
import { isTerminal } from "../../src/domain/task.ts";
import { createDatabase } from "../support/postgres.ts";
import { flaky, steps } from "./support/kinds.ts";
import { startReplicas, untilReady } from "./support/replicas.ts";
import { inParallel, pick, runScenario } from "./support/scenario.ts";
import type { Findings } from "./support/scenario.ts";
import { faultsOf, readTapes } from "./support/tapes.ts";
import type { StoredTape } from "./support/tapes.ts";

const FOREIGN = 20;
/** The task's code heeds its signal: its end waits for the news alone. */
const FOREIGN_MS_MAX = 2_000;
const RACES = 1_000;
const AT_ONCE = 16;
/** About as long as the tasks take, so that the cancel comes before, during and after the end. */
const DELAY_MS_MAX = 25;
const FINAL_MS_MAX = 10_000;

const [delaysMs, answers] = [[] as number[], new Map<string, CancelledTask[]>()];

/** Started by way of the one, cancelled by way of the other. */
async function cancelElsewhere(findings: Findings, [owner, other]: readonly SpoolClient[]): Promise<void> {
  const { task } = await owner!.start({ kind: steps.name, params: { events: 10_000, every_ms: 20 } });
  if (task.status !== "running") findings.violation("a start with free slots waits", task);
  const cancelledAt = performance.now();
  const answer = await other!.cancel({ taskId: task.taskId, reason: "from elsewhere" });
  findings.expect(answer.outcome === "requested", "the cancel of a running task was not taken", answer);
  const final = await other!.waitFinal({ taskId: task.taskId, timeoutMs: FINAL_MS_MAX });
  delaysMs.push(performance.now() - cancelledAt);
  answers.set(task.taskId, [answer]);
  findings.expect(final.status === "cancelled", "a task went on after its cancel", final);
}

/** Short tasks, and some that fail and would be tried again. */
function raceRequest() {
  if (Math.random() < 0.25) return { kind: flaky.name, params: { events: 2, failing_attempts: 1 }, maxAttempts: 3 };
  return { kind: "echo", params: { count: pick([0, 1, 3]), delay_ms: pick([0, 0, 1, 3]) } };
}

async function race(findings: Findings, clients: readonly SpoolClient[]): Promise<void> {
  const { task } = await pick(clients).start(raceRequest());
  const { taskId } = task;
  const cancel = async (client: SpoolClient) => {
    await setTimeout(Math.random() * DELAY_MS_MAX); // Paces the race; whatever it hits is right.
    return client.cancel({ taskId });
  };
  // Every third is cancelled by both replicas at about the same time.
  const cancels = Math.random() < 1 / 3 ? clients.map(cancel) : [cancel(pick(clients))];
  answers.set(taskId, await Promise.all(cancels));
  for (const { outcome } of answers.get(taskId)!) findings.count(`answered ${outcome}`);
  const final = await pick(clients).waitFinal({ taskId, timeoutMs: FINAL_MS_MAX });
  findings.count(`races that ended ${final.status}`);
}

/** What the answers to the cancels of a task promise, held against its tape. */
function answerFaults({ status, events }: StoredTape, given: readonly CancelledTask[]): string[] {
  const asked = events.filter(({ type }) => type === "cancel_requested").length;
  const isRequested = given.some(({ outcome }) => outcome === "requested");
  const faults = asked === (isRequested ? 1 : 0) ? [] : [`cancel_requested ${asked} times`];
  for (const { outcome, task } of given) {
    const agrees =
      outcome === "requested"
        ? task.status === "running" && task.cancelRequestedAt !== null
        : isTerminal(task.status) && task.status === status && (outcome !== "cancelled" || status === "cancelled");
    if (!agrees) faults.push(`answered ${outcome} with ${task.status}, ended ${status}`);
  }
  if (given.filter(({ outcome }) => outcome === "cancelled").length > 1) faults.push("ended by two cancels");
  return faults;
}

await runScenario("cancel-race", async (findings) => {
  console.log(
    `two replicas: ${FOREIGN} cancels from elsewhere, then ${RACES} cancels against ends, ${AT_ONCE} at once`,
  );
  await using database = await createDatabase();
  await using replicas = await startReplicas({ count: 2, databaseUrl: database.url });
  const clients = replicas.map(({ client }) => client);
  await untilReady(replicas);
  await inParallel({ total: FOREIGN, atOnce: 1 }, (index) =>
    cancelElsewhere(findings, index % 2 === 0 ? clients : clients.toReversed()),
  );
  const [p50, max] = [quantile(delaysMs, 0.5), Math.max(...delaysMs)];
  findings.record("cancel elsewhere to final, ms", `p50 ${p50.toFixed(0)}, max ${max.toFixed(0)}`);
  findings.expect(max <= FOREIGN_MS_MAX, `a cancel from elsewhere took ${max} ms`);

  await inParallel({ total: RACES, atOnce: AT_ONCE }, () => race(findings, clients));
  const tapes = await readTapes(database.url);
  findings.record("tasks cancelled", answers.size);
  for (const [taskId, given] of answers) {
    const tape = tapes.get(taskId)!;
    const faults = [...faultsOf(tape), ...answerFaults(tape, given)];
    if (faults.length > 0) findings.violation(`task ${taskId}:`, faults, tape.events);
  }
});
