import { Overloaded } from "../../domain/errors.ts";
import type { NewEvent } from "../../domain/event.ts";
import type { Task } from "../../domain/task.ts";
import type { NewTask } from "../../store/tasks/new-task.ts";

/** Bounds of the starts that wait for a flush. Past either bound, StartTask answers OVERLOADED. */
export const WAITING_CREATES_MAX = 16_384;
export const WAITING_CREATE_BYTES_MAX = 64 * 1024 * 1024;
/** How much of the queue one flush takes. The start that passes the bytes bound is still taken. */
const FLUSH_CREATES_MAX = 1_024;
const FLUSH_CREATE_BYTES_MAX = 2 * 1024 * 1024;

/** The outcome of a start: a new task, or the task that an earlier start with the same request_id created. */
export type CreateOutcome = { created: true; at: Date } | { created: false; task: Task };

export interface Create {
  task: NewTask;
  events: readonly NewEvent[];
  since: number;
  done: PromiseWithResolvers<CreateOutcome>;
}

/** A queue of the tasks that wait to be stored, in the order of their starts. Bounded in number and in bytes. */
export class CreateQueue {
  #waiting: Create[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** @throws Overloaded */
  add(task: NewTask, events: readonly NewEvent[]): Promise<CreateOutcome> {
    if (this.#waiting.length >= WAITING_CREATES_MAX || this.#bytes >= WAITING_CREATE_BYTES_MAX) {
      return Promise.reject(new Overloaded("tasks waiting to be stored"));
    }
    const done = Promise.withResolvers<CreateOutcome>();
    this.#waiting.push({ task, events, since: performance.now(), done });
    this.#bytes += task.params.length;
    return done.promise;
  }

  /**
   * Takes the starts for one flush, and leaves a share for each other flush that may begin. The database then works on
   * one share while the callers of another share are answered and send new starts.
   *
   * @returns the starts, and the bytes of their params
   */
  take(freeFlushes: number): { creates: Create[]; bytes: number } {
    const share = Math.min(FLUSH_CREATES_MAX, Math.ceil(this.#waiting.length / freeFlushes));
    let bytes = 0;
    let count = 0;
    for (const { task } of this.#waiting) {
      if (count >= share || bytes >= FLUSH_CREATE_BYTES_MAX) break;
      bytes += task.params.length;
      count++;
    }
    this.#bytes -= bytes;
    return { creates: this.#waiting.splice(0, count), bytes };
  }

  /** Takes the starts that were added at or before a time of performance.now(). */
  takeLate(before: number): Create[] {
    const count = this.#waiting.findIndex(({ since }) => since > before);
    const late = this.#waiting.splice(0, count === -1 ? this.#waiting.length : count);
    for (const { task } of late) this.#bytes -= task.params.length;
    return late;
  }
}
