import type { Transaction } from "kysely";
import type { DecisionContext, Transition } from "../../src/domain/lifecycle.ts";
import type { Task } from "../../src/domain/task.ts";
import type { Database } from "../../src/store/schema.ts";
import { writeTransitions } from "../../src/store/tasks/transitions.ts";
import type { LockedTasks, TaskChange } from "../../src/store/tasks/transitions.ts";

export type Decide = (task: Task, context: DecisionContext) => Transition;

/** Decides on the tasks that a transaction has locked, and writes what changes. Gives those that did, as they are then. */
export async function decideOn(
  trx: Transaction<Database>,
  { tasks, at }: LockedTasks,
  decide: Decide,
): Promise<Task[]> {
  const changes = tasks.flatMap((task): TaskChange[] => {
    const transition = decide(task, { at, random: 0 });
    return transition.type === "unchanged" ? [] : [{ task, transition }];
  });
  return changes.length === 0 ? [] : writeTransitions(trx, changes, at);
}
