import type { Logger } from "pino";
import { validateParams, runAttempt } from "../../domain/attempt.ts";
import type { Validation } from "../../domain/attempt.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Kind } from "../../domain/kind.ts";
import type { AttemptOutcome } from "../../domain/lifecycle.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import { outsideAttempts, withinAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { logFieldsOf } from "./attempt-report.ts";
import type { AttemptHost, HostedAttempt } from "./attempt-host.ts";

/** Runs the code of this process's own kinds. */
export class KindHost implements AttemptHost {
  readonly runsUnstartedTasks = true;
  readonly freesSlotsWithCode = true;
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #log: Logger;

  constructor({ kinds, log }: { kinds: ReadonlyMap<string, Kind>; log: Logger }) {
    this.#kinds = kinds;
    this.#log = log;
  }

  retryOf(kind: string): RetrySettings {
    return this.#kinds.get(kind)!.retry;
  }

  check(task: { kind: string; params: JsonObject }): Promise<Validation> {
    return Promise.resolve(validateParams(this.#kinds.get(task.kind)!, task.params));
  }

  isResumable(kind: string): boolean {
    return this.#kinds.get(kind)!.resumable;
  }

  run({ task, writer, lastCheckpoint, span }: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome> {
    const kind = this.#kinds.get(task.kind)!;
    // The read may open a connection that other tasks share: the connection must not belong to this attempt.
    const lastCheckpointOutside = () => outsideAttempts(lastCheckpoint);
    const parts = {
      kind,
      task,
      sink: writer,
      lastCheckpoint: lastCheckpointOutside,
      traceparent: span.traceparent,
    };
    const onFailure = (error: unknown) => {
      span.threw(error);
      // A child logger would cost every task something, and few tasks log.
      this.#log.warn({ ...logFieldsOf(task, span.traceparent), err: error }, "attempt: code threw");
    };
    return this.within(task, () => span.run(() => runAttempt(parts, signal, onFailure)));
  }

  within<Result>({ taskId, kind, attempt }: AttemptRef, work: () => Result): Result {
    return withinAttempt({ taskId, kind, attempt }, work);
  }

  onEnded(): void {
    // The code has ended, or was told to stop. No further steps are needed.
  }
}
