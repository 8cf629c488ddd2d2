import { endByTransition } from "../domain/attempt-end.ts";
import type { AttemptEnd } from "../domain/attempt-end.ts";
import { LeaseLost, StoreUnavailable } from "../domain/errors.ts";
import { certainEnd, endAttempt, stopAttempt } from "../domain/lifecycle.ts";
import type { AttemptOutcome, Moment, StopReason, Transition } from "../domain/lifecycle.ts";
import type { Task } from "../domain/task.ts";
import { backoff } from "./backoff.ts";
import type { Control } from "./control.ts";
import type { TapeWriter } from "./tape-writer.ts";

/** What became of an attempt. */
export interface Settled {
  end: AttemptEnd;
  /** Whether how its code ended is what the attempt has ended by. */
  isStored: boolean;
  /** As it is now; null where the attempt did not own it any more. */
  task: Task | null;
}

const LOST: Settled = { end: { outcome: "lost" }, isStored: false, task: null };
/** The end is stored, and told of, by a process that the attempt was connected to before. */
const MOVED: Settled = { end: { outcome: "moved" }, isStored: true, task: null };

/** Makes the end of an attempt's code durable as the end of the attempt, through a database that may be away. */
export class Settlement {
  readonly #control: Control;
  readonly #halted: AbortSignal;

  /** @param halted when it fires, a database that is away is not waited for any more */
  constructor({ control, halted }: { control: Control; halted: AbortSignal }) {
    this.#control = control;
    this.#halted = halted;
  }

  /** The code has ended. @throws StoreUnavailable once it is halted */
  async end(task: Task, writer: TapeWriter, outcome: AttemptOutcome): Promise<Settled> {
    const end = certainEnd(task, outcome);
    try {
      if (end !== null) {
        await writer.end(end.event, end.status);
        if (writer.isEndedElsewhere) return MOVED;
        const ended: Task = { ...task, status: end.status, finishedAt: writer.endedAt ?? new Date() };
        return { end: endByTransition(end), isStored: true, task: ended };
      }
      // What is stored decides: it may have been asked to cancel by somebody else in the meantime.
      await writer.flush();
      return await this.#change(writer, (stored, moment) => endAttempt(stored, outcome, moment));
    } catch (error) {
      // Lost: whoever took the task has ended it, or will.
      if (error instanceof LeaseLost) return LOST;
      // The database stayed away until this process was to wait no longer.
      if (error instanceof StoreUnavailable) throw error;
      const failure = { reason: "KIND_FAILED", message: "the database refused what the code emitted" };
      return this.#change(writer, (stored, moment) =>
        endAttempt(stored, { type: "threw", failure, because: null, isFinal: false }, moment),
      );
    }
  }

  /** The code has not ended within its grace. @throws StoreUnavailable once it is halted */
  async take(writer: TapeWriter, because: StopReason): Promise<Settled> {
    writer.revoke();
    const taken = await this.#change(writer, (stored, moment) => stopAttempt(stored, because, moment));
    return { ...taken, isStored: false };
  }

  async #change({ fence }: TapeWriter, decide: (task: Task, moment: Moment) => Transition): Promise<Settled> {
    for (let failures = 1; ; failures++) {
      try {
        const { task, transition } = await this.#control.changeOwned(fence, decide);
        return transition === null ? LOST : { end: endByTransition(transition), isStored: true, task };
      } catch (error) {
        if (!(error instanceof StoreUnavailable) || !(await backoff(failures, this.#halted))) throw error;
      }
    }
  }
}
