import type { HistoryLine } from "../../history.ts";
import { Client } from "./clients.ts";
import { NamespaceFollower } from "./namespace-followers.ts";
import { isEnded } from "./spool-model.ts";
import { refusal, Stage } from "./stage.ts";
import type { Actor } from "./stage.ts";
import { TapeFollower } from "./tape-followers.ts";
import { Worker } from "./workers.ts";

const STEPS_DEFAULT = 300;
/** Steps within which every task has ended and every follower has caught up. */
const ENDING_STEPS_MAX = 20_000;
/** Longer than a stream needs to deliver what is stored. */
const QUIET_MS = 20_000;
const FAULTS = ["kill server", "cut link", "stop worker", "crash database"];

/** Returns the history of a run in which Spool kept every promise. The same seed gives the same history. */
export function legalHistory(seed: number, { steps = STEPS_DEFAULT } = {}): HistoryLine[] {
  const stage = new Stage(seed);
  stage.write({
    type: "run",
    at: 0,
    seed: `${seed}`,
    minutes: 1,
    startedAt: "2031-02-03T04:05:06Z",
    isAttached: false,
  });
  const clients = ["client-1", "client-2", "client-3"].map((name) => new Client(stage, name));
  const followers = ["follower-1", "follower-2", "follower-3"].map((name) => new TapeFollower(stage, name));
  const ofMany = ["many-1", "many-2"].map((name) => new NamespaceFollower(stage, name));
  const workers = [101, 102].map((pid) => new Worker(stage, `worker-${pid}`, pid));
  const actors: Actor[] = [...clients, ...clients, ...followers, ...ofMany, ...workers, ...workers];
  for (let step = 0; step < steps; step++) {
    stage.pick(actors).act();
    if (stage.chance(0.7)) stage.pass(stage.below(40));
    if (stage.chance(0.02)) stage.late.shift()?.();
    if (stage.chance(0.01)) fail(stage);
    removeDue(stage);
  }
  stage.isEnding = true;
  for (let step = 0; step < 100; step++) stage.pick(clients).act();
  while (stage.late.length > 0) stage.late.shift()!();
  for (let step = 0; step < ENDING_STEPS_MAX && stage.spool.tasks.some((task) => !isEnded(task)); step++) {
    stage.pick(workers).act();
    if (stage.chance(0.1)) stage.pick(followers).act();
    stage.pass(1);
  }
  for (let step = 0; step < 400; step++) stage.pick([...followers, ...ofMany]).act();
  for (const worker of workers) worker.readNotes();
  // A stream that is left after this time has delivered everything. One with events to deliver is left before.
  for (const follower of followers) follower.leave();
  if (stage.chance(0.5)) stage.pass(QUIET_MS);
  for (const follower of ofMany) follower.leave();
  settle(stage);
  return stage.lines;
}

/** A fault is written when it is over. Most are short, and some take longer than the bound of a cancel. */
function fail(stage: Stage): void {
  const at = stage.now;
  stage.pass(stage.chance(0.2) ? 20_000 : stage.below(2_000));
  const details = { target: stage.pick(["server-1", "worker-101"]) };
  stage.write({ type: "fault", at, until: stage.now, name: stage.pick(FAULTS), details });
}

/** Removes tasks whose retention has passed, at any time after that. */
function removeDue(stage: Stage): void {
  for (const task of stage.spool.tasks) {
    if (task.retentionMs === undefined || task.endedAt === null || task.isRemoved) continue;
    if (stage.now > task.endedAt + task.retentionMs && stage.chance(0.05)) task.isRemoved = true;
  }
}

function settle(stage: Stage): void {
  for (const task of stage.named()) {
    const { taskId, namespace, kind, requestId, status, attempt, tape } = task;
    const at = stage.now;
    if (task.isRemoved) {
      stage.write({ type: "settled", at, taskId, namespace, ...refusal("NOT_FOUND", "TASK_EXPIRED") });
      continue;
    }
    const fields = { kind, requestId, status, attempt, lastSeq: tape.length, events: [...tape] };
    stage.write({ type: "settled", at, taskId, namespace, ...fields, result: tape.at(-1)!.outcome! });
  }
}
