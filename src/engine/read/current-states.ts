import { TaskNotFound } from "../../domain/errors.ts";
import type { TaskState } from "../../domain/task.ts";

/** How many reads run at once. Calls that arrive meanwhile share the next read. */
const MAX_CONCURRENT_READS = 2;
/** The most tasks in one read. */
export const STATES_MAX = 1_000;

/** Reads the states of tasks. Leaves out ids that are not found. @throws StoreUnavailable */
type ReadStates = (taskIds: readonly string[]) => Promise<TaskState[]>;

/**
 * Reads the stored states of tasks, for callers that must see nothing older than their call. Calls share one read if
 * they come in one turn of the event loop, or while MAX_CONCURRENT_READS reads are under way.
 */
export class CurrentStates {
  readonly #readStates: ReadStates;
  #waiting = new Map<string, PromiseWithResolvers<TaskState>>();
  #isScheduled = false;
  #reads = 0;

  constructor(readStates: ReadStates) {
    this.#readStates = readStates;
  }

  /** Returns a task's state from a read that began after this call. @throws TaskNotFound, StoreUnavailable */
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
    for (; this.#reads < MAX_CONCURRENT_READS && this.#waiting.size > 0; this.#reads++) {
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
