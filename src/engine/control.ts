import type { Kysely } from "kysely";
import type { Transition } from "../domain/lifecycle.ts";
import type { Fence, Task } from "../domain/task.ts";
import type { Database } from "../store/schema.ts";
import { isOverdue } from "../store/sweep-queries.ts";
import type { OverdueReason } from "../store/sweep-queries.ts";
import { lockTask } from "../store/task-queries.ts";
import { applyTransition } from "../store/transitions.ts";
import type { Feed } from "./feed.ts";

export interface ControlOutcome {
  /** As it is after the commit. */
  task: Task;
  /** What was done; null where the condition did not hold any more. */
  transition: Transition | null;
}

/**
 * The control path: cancels, retries, tasks taken from their owner. Short transactions, each of one task: lock the row,
 * let the domain decide on what is stored, write row and event. Whoever commits a terminal status first wins.
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
  change(taskId: string, decide: (task: Task) => Transition): Promise<ControlOutcome> {
    return this.#transact(taskId, (task) => Promise.resolve(decide(task)));
  }

  /** Decides on a task while the attempt still owns it. */
  changeOwned({ taskId, lease, attempt }: Fence, decide: (task: Task) => Transition): Promise<ControlOutcome> {
    return this.#transact(taskId, (task) => {
      const isOwned = task.status === "running" && task.lease === lease && task.attempt === attempt;
      return Promise.resolve(isOwned ? decide(task) : null);
    });
  }

  /** Decides on a running task while it is overdue. */
  changeOverdue(
    { taskId, reason, graceMs }: { taskId: string; reason: OverdueReason; graceMs: number },
    decide: (task: Task) => Transition,
  ): Promise<ControlOutcome> {
    return this.#transact(taskId, async (task, trx) =>
      (await isOverdue(trx, { taskId, reason, graceMs })) ? decide(task) : null,
    );
  }

  async #transact(
    taskId: string,
    decide: (task: Task, trx: Parameters<typeof lockTask>[0]) => Promise<Transition | null>,
  ): Promise<ControlOutcome> {
    const outcome = await this.#db.transaction().execute(async (trx) => {
      const task = await lockTask(trx, { namespace: this.#namespace, taskId });
      const transition = await decide(task, trx);
      if (transition === null || transition.type === "unchanged") return { task, transition };
      return { task: await applyTransition(trx, task, transition), transition };
    });
    // The feed learns where the tape stands now; followers read the event from the store.
    if (outcome.transition === null || outcome.transition.type === "unchanged") this.#feed.observe(outcome.task);
    else this.#feed.announce(outcome.task);
    return outcome;
  }
}
