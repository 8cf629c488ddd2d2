import type { SpoolEvent, TaskResult } from "../../client/types.ts";
import type { TaskFailure } from "../../domain/event.ts";

/** How many phases are kept, by when they began; code that makes a name of each item would make a million. */
export const PHASES_MAX = 100;
export const ATTEMPTS_KEPT_MAX = 100;

/** A phase of the work, within one attempt. */
export interface Phase {
  readonly name: string;
  readonly attempt: number;
  /** Of its first and last event. */
  readonly from: Date;
  to: Date;
  current: number;
  total: number;
}

export interface Attempt {
  readonly number: number;
  readonly from: Date;
  /** null: it runs, or nobody knows yet. */
  to: Date | null;
  /** Why it was not the last one. */
  error: TaskFailure | null;
}

/** What a tape comes to, read event by event. */
export class TapeSummary {
  readonly attempts: Attempt[] = [];
  readonly phases: Phase[] = [];
  /** Whether there were more phases than are kept. */
  hasMorePhases = false;
  outcome: Pick<TaskResult, "status" | "result" | "error"> | null = null;
  logs = 0;
  partials = 0;
  cancelReason: string | null = null;
  readonly #phases = new Map<string, Phase>();

  take(event: SpoolEvent): void {
    switch (event.type) {
      case "started":
        this.#endAttempt(event.time, null);
        this.attempts.push({ number: event.attempt, from: event.time, to: null, error: null });
        if (this.attempts.length > ATTEMPTS_KEPT_MAX) this.attempts.shift();
        return;
      case "progress":
        this.#progress(event.phase, event.current, event.total, event.time);
        return;
      case "log":
        this.logs++;
        return;
      case "partial":
        this.partials++;
        return;
      case "cancel_requested":
        this.cancelReason = event.reason;
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
      case "unknown":
    }
  }

  #progress(name: string, current: number, total: number, time: Date): void {
    const attempt = this.attempts.at(-1)?.number ?? 0;
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

  #endAttempt(time: Date, error: TaskFailure | null): void {
    const attempt = this.attempts.at(-1);
    if (attempt === undefined || attempt.to !== null) return;
    attempt.to = time;
    attempt.error = error;
  }
}
