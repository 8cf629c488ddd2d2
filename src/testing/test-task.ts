import { randomUUID } from "node:crypto";
import { AttemptStopped, runAttempt } from "../domain/attempt.ts";
import type { EventSink } from "../domain/attempt.ts";
import { LeaseLost } from "../domain/errors.ts";
import { newEvent } from "../domain/event.ts";
import { silencedRejection } from "../domain/ignore-rejection.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Kind } from "../domain/kind.ts";
import { endAttempt, NEW_TASK, requestCancel, stopAttempt } from "../domain/lifecycle.ts";
import type { StopReason, Transition } from "../domain/lifecycle.ts";
import { resolveRetry } from "../domain/retry.ts";
import { isTerminal } from "../domain/task.ts";
import type { TaskStatus } from "../domain/task.ts";
import type { RunControl, RunKindOptions } from "./run-options.ts";
import { TestTape } from "./test-tape.ts";

const GRACE_MS_DEFAULT = 5_000;

/** A task of a test: the state that a server would store, and its tape. */
export class TestTask {
  readonly tape: TestTape;
  status: TaskStatus = "pending";
  attempt = 0;
  /** What the code of the last attempt threw. */
  thrown: unknown = undefined;
  readonly #taskId: string;
  readonly #kind: Kind;
  /** As JSON: each attempt gets a copy of its own. */
  readonly #params: string;
  readonly #graceMs: number;
  readonly #firstCheckpoint: JsonObject | null;
  readonly #retry: ReturnType<typeof resolveRetry>;
  #handovers = 0;
  #cancel: { cancelRequestedAt: Date; cancelReason: string } | null = null;
  #nextAttemptAt = new Date(0);
  /** Ends the wait before the next attempt. */
  #wake: () => void = () => {};
  /** Stops the code of the running attempt. */
  #stop: (because: StopReason) => void = () => {};
  /** Stops the code of the running attempt and does not wait for its end. */
  #abandon: () => void = () => {};
  /** What `onEvent` threw first. */
  #observerError: { error: unknown } | null = null;

  constructor(kind: Kind, params: JsonObject, options: RunKindOptions) {
    const { taskId = randomUUID(), maxAttempts = null, checkpoint = null, graceMs = GRACE_MS_DEFAULT } = options;
    this.#taskId = taskId;
    this.#kind = kind;
    this.#params = JSON.stringify(params);
    this.#graceMs = graceMs;
    this.#firstCheckpoint = structuredClone(checkpoint);
    this.#retry = resolveRetry({ maxAttempts, retryPolicy: {} }, kind.retry);
    const control = this.#control();
    this.tape = new TestTape((event) => {
      try {
        options.onEvent?.(event, control);
      } catch (error) {
        this.#observerError ??= { error };
        this.#abandon();
      }
    });
  }

  /** Waits until the next attempt is due, and runs it to its end. @throws what `onEvent` throws */
  async runAttempt(): Promise<void> {
    await this.#untilDue();
    this.#assertObserved();
    if (isTerminal(this.status)) return;
    this.status = "running";
    this.attempt++;
    this.thrown = undefined;
    const stopped = new AbortController();
    const overdue = Promise.withResolvers<StopReason>();
    let graceTimer: NodeJS.Timeout | undefined;
    this.#stop = (because) => {
      if (stopped.signal.aborted) return;
      graceTimer = setTimeout(() => overdue.resolve(because), this.#graceMs);
      stopped.abort(new AttemptStopped(because));
    };
    this.#abandon = () => {
      this.#stop("lost");
      overdue.resolve("lost");
    };
    const checkpoint = this.tape.lastCheckpoint() ?? this.#firstCheckpoint;
    const sink = this.#openSink();
    this.tape.append(newEvent("started", { kind: this.#kind.name, attempt: this.attempt }));
    const task = { taskId: this.#taskId, attempt: this.attempt, params: JSON.parse(this.#params) as JsonObject };
    const lastCheckpoint = async () => structuredClone(checkpoint);
    const parts = { kind: this.#kind, task, sink, lastCheckpoint, traceparent: null };
    const run = () => runAttempt(parts, stopped.signal, (error) => (this.thrown = error));
    const outcome = this.#observerError !== null ? "lost" : await Promise.race([run(), overdue.promise]);
    clearTimeout(graceTimer);
    sink.close();
    this.#stop = () => {};
    this.#abandon = () => {};
    this.#assertObserved();
    const context = { at: new Date(), random: Math.random() };
    const state = this.#state();
    this.#apply(
      typeof outcome === "string" ? stopAttempt(state, outcome, context) : endAttempt(state, outcome, context),
    );
    this.#assertObserved();
  }

  #assertObserved(): void {
    if (this.#observerError !== null) throw this.#observerError.error;
  }

  #control(): RunControl {
    return {
      cancel: (reason = "") => {
        this.#apply(requestCancel(this.#state(), { reason, by: null }));
        if (this.#cancel !== null) this.#stop("cancel");
      },
      timeOut: () => this.#stop("deadline"),
      shutDown: () => this.#stop(this.#kind.resumable ? "handover" : "shutdown"),
    };
  }

  #openSink(): EventSink & { close(): void } {
    let isOpen = true;
    const lost = () => silencedRejection(new LeaseLost(this.#taskId));
    return {
      emit: (type, body) => {
        if (!isOpen) return lost();
        this.tape.append(newEvent(type, body));
        return Promise.resolve();
      },
      flush: () => (isOpen ? Promise.resolve() : lost()),
      close: () => (isOpen = false),
    };
  }

  #state() {
    return {
      status: this.status,
      attempt: this.attempt,
      ...NEW_TASK,
      ...this.#retry,
      ...this.#cancel,
      handovers: this.#handovers,
    };
  }

  #apply(transition: Transition): void {
    switch (transition.type) {
      case "unchanged":
        return;
      case "ask":
        this.#cancel = { cancelRequestedAt: new Date(), cancelReason: transition.reason };
        break;
      case "requeue":
        this.status = "pending";
        this.#nextAttemptAt = transition.nextAttemptAt;
        if (transition.isHandover) this.#handovers++;
        break;
      case "end":
        this.status = transition.status;
        this.#wake();
        break;
    }
    this.tape.append(transition.event);
  }

  async #untilDue(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, Math.max(0, this.#nextAttemptAt.getTime() - Date.now()));
    await promise;
    clearTimeout(timer);
  }
}
