import type { Kysely, Transaction } from "kysely";
import type { Moment, Transition } from "../domain/lifecycle.ts";
import type { Fence, Task } from "../domain/task.ts";
import type { Database } from "../store/schema.ts";
import { lockOverdueTasks } from "../store/sweep-queries.ts";
import type { OverdueReason } from "../store/sweep-queries.ts";
import { lockTask, writeTransitions } from "../store/transitions.ts";
import type { LockedTasks, TaskChange } from "../store/transitions.ts";
import type { Feed } from "./feed.ts";

export interface ControlOutcome {
  /** As it is after the commit. */
  task: Task;
  /** What was done; null where it was not the deciding one's to do any more. */
  transition: Transition | null;
}

type Decide = (task: Task, moment: Moment) => Transition;

/**
 * The control path: cancels, retries, tasks taken from their owner. Short transactions: lock the row, let the domain
 * decide on what is stored, write row and event. Whoever commits a terminal status first wins.
 */
export class Control {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #feed: Feed;

  constructor({ db, namespace, feed }: { db: Kysely<Database>; namespace: string; feed: Feed }) {
    this.#db = db;
    this.#namespace = namespace;
    this.#feed = feed;
  }

  /** Decides on a task, whoever owns it. @throws TaskNotFound, StoreUnavailable */
  change(taskId: string, decide: Decide): Promise<ControlOutcome> {
    return this.#changeOne(taskId, decide);
  }

  /** Decides on a task while the attempt still owns it. @throws TaskNotFound, StoreUnavailable */
  changeOwned({ taskId, lease, attempt }: Fence, decide: Decide): Promise<ControlOutcome> {
    return this.#changeOne(taskId, (task, moment) => {
      const isOwned = task.status === "running" && task.lease === lease && task.attempt === attempt;
      return isOwned ? decide(task, moment) : null;
    });
  }

  /**
   * Decides on tasks that are overdue, in one commit; those that somebody else is deciding on are left out.
   *
   * @returns an outcome for each, up to the limit
   */
  changeOverdue(
    query: { reason: OverdueReason; graceMs: number; limit: number },
    decide: Decide,
  ): Promise<ControlOutcome[]> {
    return this.#transact((trx) => lockOverdueTasks(trx, { namespace: this.#namespace, ...query }), decide);
  }

  async #changeOne(taskId: string, decide: (task: Task, moment: Moment) => Transition | null): Promise<ControlOutcome> {
    const [outcome] = await this.#transact((trx) => lockTask(trx, { namespace: this.#namespace, taskId }), decide);
    return outcome!;
  }

  async #transact(
    lock: (trx: Transaction<Database>) => Promise<LockedTasks>,
    decide: (task: Task, moment: Moment) => Transition | null,
  ): Promise<ControlOutcome[]> {
    const outcomes = await this.#db.transaction().execute(async (trx) => {
      const { tasks, at } = await lock(trx);
      const decided = tasks.map((task) => ({ task, transition: decide(task, { at, random: Math.random() }) }));
      const changes = decided.filter(isChange);
      if (changes.length === 0) return decided;
      const changed = new Map((await writeTransitions(trx, changes, at)).map((task) => [task.taskId, task]));
      return decided.map(({ task, transition }) => ({ task: changed.get(task.taskId) ?? task, transition }));
    });
    // The feed learns where each tape stands now; followers read the event from the store.
    for (const outcome of outcomes) {
      if (isChange(outcome)) this.#feed.announce(outcome.task);
      else this.#feed.observe(outcome.task);
    }
    return outcomes;
  }
}

function isChange(outcome: ControlOutcome): outcome is TaskChange {
  return outcome.transition !== null && outcome.transition.type !== "unchanged";
}
