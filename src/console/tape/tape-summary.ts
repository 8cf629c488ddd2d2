import type { SpoolEvent, TaskResult } from "../../client/types.ts";
import type { TaskFailure } from "../../domain/event.ts";
import { SeriesTails } from "./series-tails.ts";

/** Maximum phases, in order of their start. Code that names a phase after each item would create a million. */
export const PHASES_MAX = 100;
const ATTEMPTS_KEPT_MAX = 100;
/** The number of an attempt whose start was not read. */
export const BEGUN_BEFORE = 0;

/** A phase within one attempt. */
export interface Phase {
  readonly name: string;
  readonly attempt: number;
  /** The time of its first event; `to`: of its last event. */
  readonly from: Date;
  to: Date;
  current: number;
  total: number;
}

export interface Attempt {
  readonly number: number;
  readonly from: Date;
  /** null: the attempt runs, or its end is not read yet. */
  to: Date | null;
  /** Why the attempt failed. */
  error: TaskFailure | null;
}

/** Summarizes a tape, event by event. */
export class TapeSummary {
  readonly attempts: Attempt[] = [];
  readonly phases: Phase[] = [];
  /** Whether phases were left out. */
  hasMorePhases = false;
  readonly series = new SeriesTails();
  outcome: Pick<TaskResult, "status" | "result" | "error"> | null = null;
  readonly #phases = new Map<string, Phase>();

  take(event: SpoolEvent): void {
    switch (event.type) {
      case "started":
        this.#endAttempt(event.time, null);
        this.#beginAttempt(event.attempt, event.time);
        return;
      case "progress":
        this.#progress(event.phase, event.current, event.total, event.time);
        return;
      case "retrying":
        this.#endAttempt(event.time, event.error);
        return;
      case "final": {
        this.#endAttempt(event.time, event.error ?? null);
        const { status, result, error } = event;
        this.outcome = { status, ...(result && { result }), ...(error && { error }) };
        return;
      }
      case "partial":
      case "folded":
        this.series.take(event);
        return;
      case "log":
      case "cancel_requested":
      case "unknown":
    }
  }

  #progress(name: string, current: number, total: number, time: Date): void {
    // If the summary does not start with the first event, the attempt may have started before.
    if (this.attempts.length === 0) this.#beginAttempt(BEGUN_BEFORE, time);
    const attempt = this.attempts.at(-1)!.number;
    const key = `${attempt} ${name}`;
    let phase = this.#phases.get(key);
    if (phase === undefined) {
      if (this.phases.length === PHASES_MAX) {
        this.hasMorePhases = true;
        return;
      }
      phase = { name, attempt, from: time, to: time, current, total };
      this.#phases.set(key, phase);
      this.phases.push(phase);
    }
    phase.to = time;
    phase.current = current;
    phase.total = total;
  }

  #beginAttempt(number: number, time: Date): void {
    this.attempts.push({ number, from: time, to: null, error: null });
    if (this.attempts.length > ATTEMPTS_KEPT_MAX) this.attempts.shift();
  }

  #endAttempt(time: Date, error: TaskFailure | null): void {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined || attempt.to !== null) return;
    attempt.to = time;
    attempt.error = error;
  }
}
