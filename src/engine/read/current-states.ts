import { TaskNotFound } from "../../domain/errors.ts";
import type { TaskState } from "../../domain/task.ts";

/** How many reads are under way at once. What is asked for meanwhile goes with the next. */
const READS_AT_ONCE = 2;
/** How many tasks one read is of. */
export const STATES_MAX = 1_000;

/** Reads the states of tasks; ids that are not found are left out. @throws StoreUnavailable */
type ReadStates = (taskIds: readonly string[]) => Promise<TaskState[]>;

/**
 * Says how far tasks have come in the store, for callers who are to see nothing older than their call. All that is
 * asked for in one turn of the event loop, and while READS_AT_ONCE reads are under way, is one read.
 */
export class CurrentStates {
  readonly #readStates: ReadStates;
  #waiting = new Map<string, PromiseWithResolvers<TaskState>>();
  #isScheduled = false;
  #reads = 0;

  constructor(readStates: ReadStates) {
    this.#readStates = readStates;
  }

  /** @returns the state that a read gave which has begun after this call @throws TaskNotFound, StoreUnavailable */
  read(taskId: string): Promise<TaskState> {
    let waiting = this.#waiting.get(taskId);
    if (waiting === undefined) {
      waiting = Promise.withResolvers();
      this.#waiting.set(taskId, waiting);
      this.#schedule();
    }
    return waiting.promise;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#begin();
    });
  }

  #begin(): void {
    for (; this.#reads < READS_AT_ONCE && this.#waiting.size > 0; this.#reads++) {
      const batch = new Map([...this.#waiting].slice(0, STATES_MAX));
      for (const taskId of batch.keys()) this.#waiting.delete(taskId);
      void this.#answer(batch);
    }
  }

  async #answer(batch: ReadonlyMap<string, PromiseWithResolvers<TaskState>>): Promise<void> {
    try {
      const states = new Map((await this.#readStates([...batch.keys()])).map((state) => [state.taskId, state]));
      for (const [taskId, { resolve, reject }] of batch) {
        const state = states.get(taskId);
        if (state === undefined) reject(new TaskNotFound(taskId));
        else resolve(state);
      }
    } catch (error) {
      for (const { reject } of batch.values()) reject(error);
    }
    this.#reads--;
    this.#begin();
  }
}
