import { messageOf } from "../../domain/thrown.ts";
import { endWithProcess, outliveProcess } from "../../domain/lifecycle.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import type { Control } from "../attempt/task-control.ts";
import type { Runner } from "./runner.ts";
import type { Session } from "./session.ts";

/** One commit's worth. */
const BATCH_MAX = 100;

/** What a process that is about to die can still store: whose code has taken it down, and that it was nobody else's. */
export class Dying {
  readonly #control: Control;
  readonly #runner: Runner;
  readonly #crashesMax: number;
  readonly #session: () => Session | undefined;

  constructor(parts: {
    control: Control;
    /** Of this process's own kinds: a worker's tasks outlive it. */
    runner: Runner;
    crashesMax: number;
    session: () => Session | undefined;
  }) {
    this.#control = parts.control;
    this.#runner = parts.runner;
    this.#crashesMax = parts.crashesMax;
    this.#session = parts.session;
  }

  /** The attempts whose code runs in this process. */
  running(): AttemptRef[] {
    return this.#runner.executor.attempts();
  }

  /**
   * Ends the attempt whose code has taken the process down, hands on what else runs here, and leaves. What this does not
   * come to is found as lost by others. @throws StoreUnavailable
   */
  async handOver({ taskId, attempt }: AttemptRef, error: unknown): Promise<void> {
    const session = this.#session();
    if (session === undefined) return;
    void this.#runner.stopClaiming();
    const { id: lease } = session;
    const message = `the code of the task took its process down: ${messageOf(error)}`;
    const death = { crashesMax: this.#crashesMax, message };
    await this.#control.changeCrashed({ taskId, lease, attempt }, (task, moment) =>
      endWithProcess(task, death, moment),
    );
    const { executor } = this.#runner;
    for (let taken = BATCH_MAX; taken === BATCH_MAX;) {
      const outlived = await this.#control.changeAllOwned({ lease, limit: BATCH_MAX }, (task, moment) =>
        outliveProcess(task, { isResumable: executor.isResumable(task.kind) }, moment),
      );
      taken = outlived.length;
    }
    await session.close();
  }
}
