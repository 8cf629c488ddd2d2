// every-task-ends, result-equals-final

import { acknowledged, finalOf, settledTape } from "./facts.ts";
import type { Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";
import { isTerminal } from "./reads.ts";

export function* checkEnds(facts: Facts): Generator<Violation> {
  const requestIds = new Set(facts.starts.map(({ sent: { line } }) => `${line.namespace} ${line.requestId}`));
  for (const task of facts.tasks.values()) {
    yield* checkResults(task);
    const settled = settledTape(task);
    if (settled === null || isTerminal(settled.status) || finalOf(task) !== null) continue;
    // A service that is used by others, too, has tasks of which the run knows nothing.
    const isOwn = task.starts.length > 0 || requestIds.has(`${task.namespace} ${settled.requestId}`);
    if (facts.isAttached && !isOwn) continue;
    const runAt = Math.max(...task.starts.map(({ sent }) => sent.line.runAt ?? 0), 0);
    if (runAt > settled.at) continue;
    const message = `the task is ${settled.status} at the end of the run, with last_seq ${settled.lastSeq}`;
    yield { promise: "every-task-ends", taskId: task.taskId, subject: "settled", message };
  }
}

function* checkResults(task: TaskFacts): Generator<Violation> {
  const final = finalOf(task)?.event;
  if (final === undefined) return;
  const report = (subject: string, what: string): Violation => ({
    promise: "result-equals-final",
    taskId: task.taskId,
    subject,
    message: `${what}, and the final says ${final.status} ${final.outcome}`,
  });
  for (const call of task.results) {
    const result = acknowledged(call)?.answered.line;
    if (result === undefined) continue;
    const isSame = result.status === final.status && result.digest === final.outcome;
    const what = `GetResult ${result.call} of ${result.client} returned ${result.status} ${result.digest}`;
    if (!isSame) yield report(`${result.client} ${result.call}`, what);
  }
  const settled = settledTape(task);
  if (settled?.result == null || settled.result === final.outcome) return;
  yield report("settled", `GetResult at the end of the run returned ${settled.result}`);
}
