import type { MessageInitShape } from "@bufbuild/protobuf";
import { validateParams, runAttempt } from "../../domain/attempt.ts";
import { endByOutcome } from "../../domain/attempt-end.ts";
import type { Kind } from "../../domain/kind.ts";
import type { AttemptOutcome } from "../../domain/lifecycle.ts";
import { APPEND_WINDOW_BYTES, APPEND_WINDOW_EVENTS } from "../../domain/limits.ts";
import { attemptKey } from "../../domain/task.ts";
import { StopReason } from "../../gen/spool/v1/worker_service_pb.ts";
import type {
  Assign,
  Check,
  CheckedSchema,
  Refused,
  Welcome,
  WorkResponse,
} from "../../gen/spool/v1/worker_service_pb.ts";
import { withinAttempt } from "../../telemetry/attempt-context.ts";
import { AttemptSpan } from "../../telemetry/attempt-span.ts";
import { WorkerAttempt } from "./worker-attempt.ts";
import type { Window } from "./worker-attempt.ts";
import type { WorkerNotice } from "./worker-notice.ts";

const RELEASED: AttemptOutcome = {
  type: "threw",
  failure: { reason: "SERVER_SHUTDOWN", message: "the worker was shut down" },
  because: "handover",
  isFinal: false,
};

/** The attempts that a worker runs. Handles the server's messages about them. */
export class WorkerAttempts {
  readonly #kinds: ReadonlyMap<string, Kind>;
  readonly #onNotice: (notice: WorkerNotice) => void;
  readonly #onUnsent: (attempt: WorkerAttempt) => void;
  readonly #attempts = new Map<string, WorkerAttempt>();
  readonly #spans = new WeakMap<WorkerAttempt, AttemptSpan>();
  #window: Window = { events: APPEND_WINDOW_EVENTS, bytes: APPEND_WINDOW_BYTES };
  #none: PromiseWithResolvers<void> | null = null;

  constructor(parts: {
    kinds: readonly Kind[];
    onNotice: (notice: WorkerNotice) => void;
    /** Called when an attempt has something to send. */
    onUnsent: (attempt: WorkerAttempt) => void;
  }) {
    this.#kinds = new Map(parts.kinds.map((kind) => [kind.name, kind]));
    this.#onNotice = parts.onNotice;
    this.#onUnsent = parts.onUnsent;
  }

  /** Returns the attempts that the server has not ended. */
  held(): { taskId: string; attempt: number }[] {
    return [...this.#attempts.values()].map(({ taskId, attempt }) => ({ taskId, attempt }));
  }

  /**
   * Handles the welcome of a new stream. Attempts that the server still holds, or whose code has ended, send their
   * unconfirmed data again. All other attempts are lost.
   */
  onWelcome({ held, windowEvents, windowBytes }: Welcome): void {
    this.#window = { events: windowEvents, bytes: windowBytes };
    const appended = new Map(held.map((task) => [attemptKey(task), task.appended]));
    for (const attempt of this.#attempts.values()) {
      const stored = appended.get(attemptKey(attempt));
      if (stored !== undefined) attempt.acknowledge(stored);
      if (stored !== undefined || attempt.hasEnded) attempt.resend();
      else this.#close(attempt);
    }
  }

  /** Handles a message about an attempt. */
  take(message: WorkResponse["message"]): void {
    if (message.case === "assign") return this.#run(message.value);
    if (message.value === undefined || !("attempt" in message.value)) return;
    const attempt = this.#attempts.get(message.value.taskId);
    if (attempt?.attempt !== message.value.attempt) return; // The attempt has ended here.
    switch (message.case) {
      case "appended":
        return attempt.acknowledge(message.value.through);
      case "finished":
      case "leaseLost":
        return this.#close(attempt);
      case "stop":
        return attempt.stop(message.value.reason === StopReason.DEADLINE ? "deadline" : "cancel");
      case "refused":
        return this.#refuse(attempt, message.value);
    }
  }

  /** Validates a waiting task. */
  check({ taskId, kind: name, params = {} }: Check): MessageInitShape<typeof CheckedSchema> {
    const kind = this.#kinds.get(name);
    if (kind === undefined) return { taskId };
    const validation = validateParams(kind, params);
    return "failure" in validation
      ? { taskId, outcome: { case: "error", value: validation.failure } }
      : { taskId, outcome: { case: "exclusiveKey", value: validation.exclusiveKey ?? "" } };
  }

  /** Resolves when no attempt is left. */
  async whenNone(): Promise<void> {
    if (this.#attempts.size === 0) return;
    this.#none ??= Promise.withResolvers();
    await this.#none.promise;
  }

  /** Asks the code of all attempts to stop, because this process stops. */
  stopAll(): void {
    for (const attempt of this.#attempts.values()) attempt.stop("handover");
  }

  /** Releases the attempts whose code has not ended. */
  releaseAll(): void {
    for (const attempt of this.#attempts.values()) {
      attempt.finish(RELEASED);
      this.#spans.get(attempt)?.end(endByOutcome(RELEASED));
    }
  }

  closeAll(): void {
    for (const attempt of this.#attempts.values()) this.#close(attempt);
  }

  #run({ taskId, attempt: number, kind: name, params = {}, checkpoint, ...trace }: Assign): void {
    const former = this.#attempts.get(taskId);
    if (former?.attempt === number) return former.resend();
    if (former !== undefined) this.#close(former);
    const window = this.#window;
    const attempt = new WorkerAttempt({ taskId, kind: name, attempt: number, window, onUnsent: this.#onUnsent });
    this.#attempts.set(taskId, attempt);
    const kind = this.#kinds.get(name);
    if (kind === undefined) return attempt.finish(RELEASED);
    const task = { taskId, attempt: number, params };
    const lastCheckpoint = () => Promise.resolve(checkpoint ?? null);
    const started = { taskId, kind: name, attempt: number, traceparent: trace.startTraceparent || null };
    const span = new AttemptSpan(started, { parent: trace.traceparent || null });
    this.#spans.set(attempt, span);
    const parts = { kind, task, sink: attempt, lastCheckpoint, traceparent: span.traceparent };
    const onFailure = (error: unknown) => {
      span.threw(error);
      this.#onNotice({ type: "threw", taskId, kind: name, attempt: number, error });
    };
    void withinAttempt(attempt.ref, () => span.run(() => runAttempt(parts, attempt.signal, onFailure))).then(
      (outcome) => {
        span.end(endByOutcome(outcome));
        attempt.finish(outcome);
      },
    );
  }

  #refuse(attempt: WorkerAttempt, { taskId, reason, message, appended }: Refused): void {
    this.#onNotice({ type: "refused", taskId, attempt: attempt.attempt, reason, message });
    attempt.refuse(message, appended);
  }

  #close(attempt: WorkerAttempt): void {
    this.#attempts.delete(attempt.taskId);
    attempt.close();
    // The code may never end. If it has ended, its span has ended already and this changes nothing.
    this.#spans.get(attempt)?.end({ outcome: "lost" });
    if (this.#attempts.size > 0) return;
    this.#none?.resolve();
    this.#none = null;
  }
}
