// deleted-stays-deleted

import { acknowledged, isAnswer, settledTape } from "./facts.ts";
import type { Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";

/** A sign of life of a task: an answer or a stream that found it. */
interface SignOfLife {
  what: string;
  /** When its call was sent: the index of its line, or the time. */
  sent: { index: number } | { at: number };
}

export function* checkDeletes(facts: Facts): Generator<Violation> {
  const followed = signsInStreams(facts);
  for (const task of facts.tasks.values()) {
    const [first] = task.deletes.map((call) => acknowledged(call)).filter((call) => call !== null);
    if (first === undefined) continue;
    const { index, line } = first.answered;
    const isLater = ({ sent }: SignOfLife) => ("index" in sent ? sent.index > index : sent.at > line.at);
    const signs = [...signsOfLife(task), ...(followed.get(task.taskId) ?? []), ...signsInLists(facts, task)];
    const sign = signs.find(isLater);
    if (sign === undefined) continue;
    const message = `${sign.what} found the task after its delete was answered`;
    yield { promise: "deleted-stays-deleted", taskId: task.taskId, subject: sign.what, message };
  }
}

function signsOfLife(task: TaskFacts): SignOfLife[] {
  const signs: SignOfLife[] = task.starts.map(({ sent }) => ({ sent, what: "StartTask" }));
  const calls = { GetTask: task.reads, GetEvents: task.pages, GetResult: task.results, CancelTask: task.cancels };
  for (const [what, list] of Object.entries(calls)) {
    for (const { sent, answered } of list) {
      if (answered !== null && isAnswer(answered.line)) signs.push({ sent, what });
    }
  }
  for (const { opened, events, ended } of task.streams) {
    // A stream that was open at the delete may still deliver what its server had read.
    const isFound = events.length > 0 || ended?.line.reason === "final";
    if (isFound) signs.push({ sent: opened, what: `follower ${opened.line.follower}` });
  }
  if (settledTape(task) !== null) signs.push({ sent: task.settled!, what: "the read at the end of the run" });
  return signs;
}

/** Finds the tasks in streams over many tasks, with when their stream was opened. */
function signsInStreams({ lines }: Facts): Map<string, SignOfLife[]> {
  const signs = new Map<string, SignOfLife[]>();
  const openedAt = new Map<string, number>();
  for (const [index, line] of lines.entries()) {
    if (line.type === "tasks_opened") openedAt.set(line.follower, index);
    if (line.type !== "news") continue;
    const opened = openedAt.get(line.follower);
    if (opened === undefined) continue;
    const sign = { sent: { index: opened }, what: `follower ${line.follower} of many tasks` };
    const ofTask = signs.get(line.taskId);
    if (ofTask === undefined) signs.set(line.taskId, [sign]);
    else ofTask.push(sign);
  }
  return signs;
}

function signsInLists({ lists }: Facts, { taskId }: TaskFacts): SignOfLife[] {
  return lists
    .filter(({ line }) => line.taskIds.includes(taskId))
    .map(({ line }) => ({ sent: { at: line.sentAt }, what: `a list of ${line.client}` }));
}
