// list-complete

import { finalOf, mayBeRemoved } from "./facts.ts";
import type { Facts, List, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";

export function* checkLists(facts: Facts): Generator<Violation> {
  for (const { line, index } of facts.lists) {
    const listed = new Set(line.taskIds);
    const subject = `${line.client} ${line.sentAt}`;
    if (listed.size < line.taskIds.length) {
      const taskId = line.taskIds.find((id, place) => line.taskIds.indexOf(id) !== place)!;
      const message = `a list of ${line.client} has the task twice`;
      yield { promise: "list-complete", taskId, subject, message };
    }
    for (const task of facts.tasks.values()) {
      if (listed.has(task.taskId) || !mustList(task, line) || mayBeRemoved(task, { index, at: line.at })) continue;
      const message = `a list of ${line.client} leaves out the task, which existed before the list was read`;
      yield { promise: "list-complete", taskId: task.taskId, subject, message };
    }
  }
}

function mustList(task: TaskFacts, { namespace, kinds, statuses, sentAt }: List): boolean {
  if (task.namespace !== namespace) return false;
  if (kinds.length > 0 && (task.kind === null || !kinds.includes(task.kind))) return false;
  if (statuses.length > 0) {
    // Only a terminal status stays while the pages of a list are read.
    const final = finalOf(task);
    if (final === null || final.at >= sentAt) return false;
    return final.event.status !== undefined && statuses.includes(final.event.status);
  }
  const knownAt = Math.min(task.starts[0]?.answered.line.at ?? Infinity, task.sightings[0]?.at ?? Infinity);
  return knownAt < sentAt;
}
