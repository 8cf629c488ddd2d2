import pLimit from "p-limit";
import { endByTransition } from "../../domain/attempt-end.ts";
import type { AttemptEnd } from "../../domain/attempt-end.ts";
import { LeaseLost, StoreUnavailable, TaskNotFound } from "../../domain/errors.ts";
import { certainEnd, endAttempt, stopAttempt } from "../../domain/lifecycle.ts";
import type { AttemptOutcome, DecisionContext, StopReason, Transition } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import { isContentError } from "../../store/errors.ts";
import { retryWhile } from "../../async/retry.ts";
import type { TaskControl } from "./task-control.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** What became of an attempt. */
export interface FinalizedAttempt {
  end: AttemptEnd;
  /** Whether how its code ended is what the attempt has ended by. */
  isStored: boolean;
  /** As it is now; null where the attempt did not own it any more. */
  task: Task | null;
}

/** An attempt whose code has ended, or is told to. */
export interface EndingAttempt {
  task: Task;
  writer: TapeWriter;
  /** Called each time that the end could not be stored. */
  onFailure: (error: unknown) => void;
}

const LOST: FinalizedAttempt = { end: { outcome: "lost" }, isStored: false, task: null };
/** The end is stored, and reported, by a process that the attempt was connected to before. */
const MOVED: FinalizedAttempt = { end: { outcome: "moved" }, isStored: true, task: null };

const REFUSED = { reason: "KIND_FAILED", message: "the database refused what the code emitted" };

/** Ends that are stored again after a failure take so many connections, however many ends wait. */
const MAX_CONCURRENT_RETRIES = 4;

type Decide = (task: Task, context: DecisionContext) => Transition;

/**
 * Makes the end of an attempt's code durable as the end of the attempt. An end that cannot be stored is kept and stored
 * again, with backoff, whatever the database answers, for as long as this process owns the task: how the code ended does
 * not change by the trouble of the database.
 */
export class AttemptFinalizer {
  readonly #control: TaskControl;
  readonly #halted: AbortSignal;
  readonly #retries = pLimit(MAX_CONCURRENT_RETRIES);

  /** @param halted when it fires, nothing is stored again after a failure */
  constructor({ control, halted }: { control: TaskControl; halted: AbortSignal }) {
    this.#control = control;
    this.#halted = halted;
  }

  /** The code has ended. @throws StoreUnavailable once it is halted */
  async end(attempt: EndingAttempt, outcome: AttemptOutcome): Promise<FinalizedAttempt> {
    const { task, writer } = attempt;
    const end = certainEnd(task, outcome);
    try {
      if (end !== null) {
        await writer.end(end.event, end.status);
        if (writer.isEndedElsewhere) return MOVED;
        const ended: Task = { ...task, status: end.status, finishedAt: writer.endedAt ?? new Date() };
        return { end: endByTransition(end), isStored: true, task: ended };
      }
      // The stored task decides: another caller may have asked to cancel it in the meantime.
      await writer.flush();
    } catch (error) {
      // The process that took the task has ended it, or will.
      if (error instanceof LeaseLost) return LOST;
      // The journal has been told to give up.
      if (error instanceof StoreUnavailable) throw error;
      return this.#change(attempt, refused);
    }
    return this.#change(attempt, (stored, context) => endAttempt(stored, outcome, context));
  }

  /** The attempt is taken from its code, which has not ended in time. @throws StoreUnavailable once it is halted */
  async take(attempt: EndingAttempt, because: StopReason): Promise<FinalizedAttempt> {
    attempt.writer.revoke();
    const taken = await this.#change(attempt, (stored, context) => stopAttempt(stored, because, context));
    return { ...taken, isStored: false };
  }

  async #change({ writer: { fence }, onFailure }: EndingAttempt, decide: Decide): Promise<FinalizedAttempt> {
    let decision = decide;
    let failure: unknown = null;
    const change = () => this.#control.changeOwned(fence, decision);
    const call = () => (failure === null ? change() : this.#retries(change));
    const isTransient = (error: unknown) => !(error instanceof TaskNotFound);
    const options = {
      signal: this.#halted,
      onFailure: (error: unknown) => {
        failure = error;
        onFailure(error);
        if (isContentError(error)) decision = refused;
      },
    };
    try {
      const { task, transition } = await retryWhile(isTransient, call, options);
      return transition === null ? LOST : { end: endByTransition(transition), isStored: true, task };
    } catch (error) {
      if (error instanceof TaskNotFound) return LOST;
      throw failure instanceof StoreUnavailable ? failure : new StoreUnavailable(failure);
    }
  }
}

/** What becomes of an attempt whose events or end the database does not take for what they hold. */
function refused(task: Task, context: DecisionContext): Transition {
  return endAttempt(task, { type: "threw", failure: REFUSED, because: null, isFinal: false }, context);
}
