import pLimit from "p-limit";
import { endByTransition } from "../../domain/attempt-end.ts";
import type { AttemptEnd } from "../../domain/attempt-end.ts";
import { LeaseLost, StoreUnavailable, TaskExpired, TaskNotFound } from "../../domain/errors.ts";
import { certainEnd, endAttempt, stopAttempt } from "../../domain/lifecycle.ts";
import type { AttemptOutcome, DecisionContext, StopReason, Transition } from "../../domain/lifecycle.ts";
import type { Task } from "../../domain/task.ts";
import { isContentError } from "../../store/errors.ts";
import { retryWhile } from "../../async/retry.ts";
import type { TaskControl } from "./task-control.ts";
import type { TapeWriter } from "../write/tape-writer.ts";

/** How an attempt ended. */
export interface FinalizedAttempt {
  end: AttemptEnd;
  /** Whether the stored end of the attempt is the end of its code. */
  isStored: boolean;
  /** The task after the end; null if the attempt no longer owned the task. */
  task: Task | null;
}

/** An attempt whose code has ended, or was told to stop. */
export interface EndingAttempt {
  task: Task;
  writer: TapeWriter;
  /** Called each time the end could not be stored. */
  onFailure: (error: unknown) => void;
}

const LOST: FinalizedAttempt = { end: { outcome: "lost" }, isStored: false, task: null };
/** The server that the attempt was connected to before stores and reports the end. */
const MOVED: FinalizedAttempt = { end: { outcome: "moved" }, isStored: true, task: null };

const REFUSED = { reason: "KIND_FAILED", message: "the database refused what the code emitted" };

/** The maximum number of connections that retries of failed ends use, however many ends wait. */
const MAX_CONCURRENT_RETRIES = 4;

type Decide = (task: Task, context: DecisionContext) => Transition;

/**
 * Makes the end of an attempt's code durable as the end of the attempt. If an end cannot be stored, the finalizer
 * retries with backoff, whatever the database answers, for as long as this process owns the task. Database trouble does
 * not change how the code ended.
 */
export class AttemptFinalizer {
  readonly #control: TaskControl;
  readonly #halted: AbortSignal;
  readonly #retries = pLimit(MAX_CONCURRENT_RETRIES);

  /** @param halted when it fires, failed writes are no longer retried */
  constructor({ control, halted }: { control: TaskControl; halted: AbortSignal }) {
    this.#control = control;
    this.#halted = halted;
  }

  /** Stores the end after the code has ended. @throws StoreUnavailable if a write fails after the halt */
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
      // The stored task decides: a caller may have cancelled the task in the meantime.
      await writer.flush();
    } catch (error) {
      // The process that took the task ends the task.
      if (error instanceof LeaseLost) return LOST;
      // The journal gave up, because the server stops.
      if (error instanceof StoreUnavailable) throw error;
      return this.#change(attempt, refused);
    }
    return this.#change(attempt, (stored, context) => endAttempt(stored, outcome, context));
  }

  /** Takes the task from code that has not ended in time. @throws StoreUnavailable if a write fails after the halt */
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
    const isTransient = (error: unknown) => !isMissing(error);
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
      if (isMissing(error)) return LOST;
      throw failure instanceof StoreUnavailable ? failure : new StoreUnavailable(failure);
    }
  }
}

/** Whether the task is gone. */
function isMissing(error: unknown): boolean {
  return error instanceof TaskNotFound || error instanceof TaskExpired;
}

/** Fails an attempt if the database refuses the content of its events or of its end. */
function refused(task: Task, context: DecisionContext): Transition {
  return endAttempt(task, { type: "threw", failure: REFUSED, because: null, isFinal: false }, context);
}
