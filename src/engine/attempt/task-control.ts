import type { Kysely, Transaction } from "kysely";
import { endByTransition } from "../../domain/attempt-end.ts";
import { TaskExpired, TaskNotTerminal } from "../../domain/errors.ts";
import type { DecisionContext, Transition } from "../../domain/lifecycle.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Fence, Task } from "../../domain/task.ts";
import type { Database } from "../../store/schema.ts";
import { lockOwnedTasks } from "../../store/tasks/owned-tasks.ts";
import { removeTask } from "../../store/tasks/removed-tasks.ts";
import { lockOverdueTasks } from "../../store/tasks/sweep-queries.ts";
import type { OverdueFilter, OverdueReason } from "../../store/tasks/sweep-queries.ts";
import { lockTask, writeTransitions } from "../../store/tasks/transitions.ts";
import type { LockedTasks, TaskChange } from "../../store/tasks/transitions.ts";
import { audited } from "../access/audited.ts";
import { reportDecision } from "./attempt-report.ts";
import type { Reporting } from "./attempt-report.ts";
import type { Feed } from "../read/feed.ts";

export interface ControlOutcome {
  /** The task after the commit. */
  task: Task;
  /** The committed change; null if the attempt no longer owned the task. */
  transition: Transition | null;
}

type Decide = (task: Task, context: DecisionContext & { hasDied: boolean }) => Transition;

type DecideOrNot = (...of: Parameters<Decide>) => Transition | null;

/** Why a task is changed outside its own attempt. */
export type DecisionReason = "cancel" | "refused" | "unreached" | "crashed" | OverdueReason;

/**
 * Changes tasks outside the journal: cancels, retries, and tasks taken from their owner. Each change is one short
 * transaction: lock the row, let the domain decide by the stored task, write the row and the event. The first commit of
 * a terminal status wins.
 */
export class TaskControl {
  readonly #db: Kysely<Database>;
  readonly #feed: Feed;
  readonly #onFreeKey: (exclusiveKey: string) => void;
  readonly #reporting: Reporting;

  constructor({
    db,
    feed,
    onFreeKey = () => {},
    ...reporting
  }: Reporting & {
    db: Kysely<Database>;
    feed: Feed;
    /** Called with the exclusive key of each task that has ended, or that was requeued. */
    onFreeKey?: (exclusiveKey: string) => void;
  }) {
    this.#db = db;
    this.#feed = feed;
    this.#onFreeKey = onFreeKey;
    this.#reporting = reporting;
  }

  /** Changes a task, whatever process owns it, and reports the change. @throws TaskNotFound, StoreUnavailable */
  async change(taskId: string, because: DecisionReason, decide: Decide): Promise<ControlOutcome> {
    const outcome = await this.#changeOne(taskId, decide);
    this.#report([outcome], because);
    return outcome;
  }

  /** Changes a task that its owner never ran, if the attempt still owns it. Reports the change. @throws as above */
  async changeUnrun(fence: Fence, because: DecisionReason, decide: Decide): Promise<void> {
    this.#report([await this.changeOwned(fence, decide)], because);
  }

  /** Changes a task if the attempt still owns it. The caller reports it. @throws TaskNotFound, StoreUnavailable */
  changeOwned({ taskId, lease, attempt }: Fence, decide: Decide): Promise<ControlOutcome> {
    return this.#changeOne(taskId, (task, context) => {
      const isOwned = task.status === "running" && task.lease === lease && task.attempt === attempt;
      return isOwned ? decide(task, context) : null;
    });
  }

  /** Changes a task whose code crashes this process, if the attempt still owns it. Reports it. @throws as above */
  changeCrashed(fence: Fence, decide: Decide): Promise<void> {
    return this.changeOwned(fence, decide).then((outcome) => this.#report([outcome], "crashed"));
  }

  /** Changes up to `limit` tasks of a session in one commit, and reports the changes. @throws StoreUnavailable */
  async changeAllOwned(query: { lease: string; limit: number }, decide: Decide): Promise<ControlOutcome[]> {
    const outcomes = await this.#transact((trx) => lockOwnedTasks(trx, query), decide);
    this.#report(outcomes, "crashed");
    return outcomes;
  }

  /**
   * Changes overdue tasks in one commit, and reports the changes. Leaves out tasks that another process is changing.
   *
   * @param query.only changes only the overdue tasks that match this filter
   * @returns an outcome for each task, up to the limit
   */
  async changeOverdue(
    query: { reason: OverdueReason; graceMs: number; limit: number; only?: OverdueFilter },
    decide: Decide,
  ): Promise<ControlOutcome[]> {
    const { namespace } = this.#reporting;
    const outcomes = await this.#transact((trx) => lockOverdueTasks(trx, { namespace, ...query }), decide);
    for (const { task } of outcomes.filter(isChange)) this.#reporting.observer.taskSwept(task.kind, query.reason);
    this.#report(outcomes, query.reason);
    return outcomes;
  }

  /**
   * Removes a task that has ended. After the commit, no reader finds the task. Its events are deleted later.
   *
   * @param by the name of the principal that deletes the task, for the audit log; null: it is not recorded
   * @returns whether the task had been removed before
   * @throws TaskNotFound, TaskNotTerminal, StoreUnavailable
   */
  async remove(taskId: string, by: string | null): Promise<{ alreadyDeleted: boolean }> {
    const { namespace, observer, log } = this.#reporting;
    try {
      const removed = await audited({ db: this.#db, log }, async (trx, record) => {
        const [task] = (await lockTask(trx, { namespace, taskId })).tasks;
        if (!isTerminal(task!.status)) throw new TaskNotTerminal(taskId, task!.status, "only an ended task is deleted");
        await removeTask(trx, namespace, task!);
        const details = { kind: task!.kind, status: task!.status };
        if (by !== null) record({ actor: by, action: "task.delete", target: taskId, namespace, details });
        return task!;
      });
      this.#feed.announceRemoval(removed);
      observer.taskRemoved(removed.kind, "caller");
      return { alreadyDeleted: false };
    } catch (error) {
      if (!(error instanceof TaskExpired)) throw error;
      this.#feed.observeRemoval(taskId); // The answer to the commit of an earlier call may have been lost.
      return { alreadyDeleted: true };
    }
  }

  #report(outcomes: readonly ControlOutcome[], because: DecisionReason): void {
    for (const { task, transition } of outcomes) {
      if (transition?.type !== "end" && transition?.type !== "requeue") continue;
      reportDecision(task, endByTransition(transition), { ...this.#reporting, because });
    }
  }

  async #changeOne(taskId: string, decide: DecideOrNot): Promise<ControlOutcome> {
    const { namespace } = this.#reporting;
    const [outcome] = await this.#transact((trx) => lockTask(trx, { namespace, taskId }), decide);
    return outcome!;
  }

  async #transact(
    lock: (trx: Transaction<Database>) => Promise<LockedTasks>,
    decide: DecideOrNot,
  ): Promise<ControlOutcome[]> {
    const outcomes = await this.#db.transaction().execute(async (trx) => {
      const { tasks, at, died } = await lock(trx);
      const decided = tasks.map((task) => {
        const context = { at, random: Math.random(), hasDied: died?.has(task.taskId) ?? false };
        return { task, transition: decide(task, context) };
      });
      const changes = decided.filter(isChange);
      if (changes.length === 0) return decided;
      const changed = new Map((await writeTransitions(trx, changes, at)).map((task) => [task.taskId, task]));
      return decided.map(({ task, transition }) => ({ task: changed.get(task.taskId) ?? task, transition }));
    });
    this.#reporting.observer.eventsWritten(outcomes.filter(isChange).length);
    // The feed gets the new state of each tape. Followers read the event from the store.
    for (const outcome of outcomes) {
      if (isChange(outcome)) this.#feed.announce(outcome.task);
      else this.#feed.observe(outcome.task);
      const exclusiveKey = freedExclusiveKey(outcome);
      if (exclusiveKey !== null) this.#onFreeKey(exclusiveKey);
    }
    return outcomes;
  }
}

/** Returns the exclusive key that the change has freed; null: none. */
function freedExclusiveKey(outcome: ControlOutcome): string | null {
  return isChange(outcome) && outcome.transition.type !== "ask" ? outcome.task.exclusiveKey : null;
}

function isChange(outcome: ControlOutcome): outcome is TaskChange {
  return outcome.transition !== null && outcome.transition.type !== "unchanged";
}
