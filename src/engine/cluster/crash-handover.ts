import { messageOf } from "../../domain/thrown.ts";
import { endWithProcess, outliveProcess } from "../../domain/lifecycle.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import type { TaskControl } from "../attempt/task-control.ts";
import type { Runner } from "./runner.ts";
import type { Session } from "./session.ts";

/** The most tasks in one commit. */
const BATCH_MAX = 100;

/** Stores, before a process crashes, which attempt's code crashed it and that the other attempts did not. */
export class CrashHandover {
  readonly #control: TaskControl;
  readonly #runner: Runner;
  readonly #crashesMax: number;
  readonly #session: () => Session | undefined;

  constructor(parts: {
    control: TaskControl;
    /** The runner of this process's own kinds. Tasks of workers survive the crash. */
    runner: Runner;
    crashesMax: number;
    session: () => Session | undefined;
  }) {
    this.#control = parts.control;
    this.#runner = parts.runner;
    this.#crashesMax = parts.crashesMax;
    this.#session = parts.session;
  }

  /** Returns the attempts whose code runs in this process. */
  running(): AttemptRef[] {
    return this.#runner.executor.attempts();
  }

  /**
   * Ends the attempt whose code crashed the process, hands over the other tasks that run here, and closes the session.
   * Sweepers of other servers find the remaining tasks as lost.
   *
   * @param culprit null: the attempt belongs to another engine of this process
   * @throws StoreUnavailable
   */
  async handOver(culprit: AttemptRef | null, error: unknown): Promise<void> {
    const session = this.#session();
    if (session === undefined) return;
    void this.#runner.stopClaiming();
    const { id: lease } = session;
    if (culprit !== null) {
      const { taskId, attempt } = culprit;
      const message = `the task's code crashed its process: ${messageOf(error)}`;
      const death = { crashesMax: this.#crashesMax, message };
      await this.#control.changeCrashed({ taskId, lease, attempt }, (task, context) =>
        endWithProcess(task, death, context),
      );
    }
    const { executor } = this.#runner;
    for (let taken = BATCH_MAX; taken === BATCH_MAX;) {
      const outlived = await this.#control.changeAllOwned({ lease, limit: BATCH_MAX }, (task, context) =>
        outliveProcess(task, { isResumable: executor.isResumable(task.kind) }, context),
      );
      taken = outlived.length;
    }
    await session.close();
  }
}
