import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { NumberedBuffer } from "../../async/numbered-buffer.ts";
import { AttemptStopped } from "../../domain/attempt.ts";
import type { EventSink } from "../../domain/attempt.ts";
import type { EmittedType } from "../../domain/emission.ts";
import { LeaseLost } from "../../domain/errors.ts";
import type { EventBodies } from "../../domain/event.ts";
import type { AttemptOutcome, StopReason } from "../../domain/lifecycle.ts";
import { APPEND_EVENTS_MAX } from "../../domain/limits.ts";
import { silencedRejection } from "../../domain/ignore-rejection.ts";
import { WorkRequestSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import type { FinishSchema } from "../../gen/spool/v1/worker_service_pb.ts";
import { withinAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { encodeAppend, encodeNewEvent } from "../../codec/work-encoding.ts";

/** Maximum size of a message with events; one larger event may exceed it. */
const MESSAGE_BYTES_MAX = 256 * 1024;

export interface Window {
  events: number;
  bytes: number;
}

/**
 * An attempt that runs in this process. It holds each event under its number until the server confirms that the event
 * is stored. After a reconnect it sends unconfirmed events again, and the server stores each event once.
 */
export class WorkerAttempt implements EventSink {
  readonly taskId: string;
  readonly attempt: number;
  /** Identifies the attempt whose code runs, for errors that the code causes. */
  readonly ref: AttemptRef;
  readonly #onUnsent: (attempt: WorkerAttempt) => void;
  readonly #stopped = new AbortController();
  /** Encoded events. The taken ones were sent on the current stream. */
  readonly #buffer: NumberedBuffer<Uint8Array>;
  #end: { bytes: Uint8Array; isSent: boolean } | null = null;
  #isOver = false;
  #isRefused = false;

  constructor(parts: {
    taskId: string;
    kind: string;
    attempt: number;
    window: Window;
    /** Called when there is something to send. */
    onUnsent: (attempt: WorkerAttempt) => void;
  }) {
    this.taskId = parts.taskId;
    this.attempt = parts.attempt;
    this.ref = { taskId: parts.taskId, kind: parts.kind, attempt: parts.attempt };
    const { events: items, bytes } = parts.window;
    this.#buffer = new NumberedBuffer({
      bound: { of: "unacknowledged", items, bytes },
      sizeOf: ({ length }) => length,
    });
    this.#onUnsent = parts.onUnsent;
  }

  /** Fires with AttemptStopped when the code must stop. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Whether the code has ended or was abandoned, and the server has yet to confirm the end. */
  get hasEnded(): boolean {
    return this.#end !== null;
  }

  emit<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Promise<void> {
    if (this.#isOver || this.#end !== null) return silencedRejection(new LeaseLost(this.taskId));
    this.#buffer.add(encodeNewEvent(type, body));
    this.#onUnsent(this);
    return this.#buffer.room();
  }

  flush(): Promise<void> {
    return this.#isOver ? silencedRejection(new LeaseLost(this.taskId)) : this.#buffer.flush();
  }

  /** Asks the code to stop. The first reason counts. */
  stop(because: StopReason): void {
    // The listeners of the signal are code of the attempt.
    if (!this.#stopped.signal.aborted) withinAttempt(this.ref, () => this.#stopped.abort(new AttemptStopped(because)));
  }

  /** Sets how the code has ended. The worker sends the end until the server confirms that it is stored. */
  finish(outcome: AttemptOutcome): void {
    if (this.#isOver || this.#end !== null) return;
    const finish = {
      taskId: this.taskId,
      attempt: this.attempt,
      number: this.#buffer.last + 1n,
      ...finishFields(outcome),
    };
    const request = create(WorkRequestSchema, { message: { case: "finish", value: finish } });
    this.#end = { bytes: toBinary(WorkRequestSchema, request), isSent: false };
    this.#onUnsent(this);
  }

  /** Confirms that the events up to a number are stored. */
  acknowledge(through: bigint): void {
    const { last } = this.#buffer;
    this.#buffer.acknowledge(through < last ? through : last);
  }

  /** Returns the next message to send; null: there is none. */
  takeUnsent(): Uint8Array | null {
    if (this.#isOver) return null;
    if (this.#buffer.unsentCount > 0) {
      const { firstNumber, items } = this.#buffer.take(APPEND_EVENTS_MAX, MESSAGE_BYTES_MAX);
      return encodeAppend(this, firstNumber, items);
    }
    if (this.#end === null || this.#end.isSent) return null;
    this.#end.isSent = true;
    return this.#end.bytes;
  }

  /** Fails the attempt: the server rejects, for good, everything sent after the first `appended` events. */
  refuse(message: string, appended: bigint): void {
    if (this.#isOver || this.#isRefused) return; // Everything sent later is rejected too.
    this.#isRefused = true;
    this.#buffer.discardAfter(appended);
    this.#end = null;
    const failure = { reason: "KIND_FAILED", message: `the server refused it: ${message}` };
    this.finish({ type: "threw", failure, because: null, isFinal: false });
    this.stop("lost");
  }

  /** Sends everything unconfirmed again, over a new stream. */
  resend(): void {
    this.#buffer.resend();
    if (this.#end !== null) this.#end.isSent = false;
    if (!this.#isOver) this.#onUnsent(this);
  }

  /** Closes the attempt: its end is stored, or it no longer owns the task. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#buffer.fail(new LeaseLost(this.taskId));
    this.stop("lost");
  }
}

type FinishFields = Pick<MessageInitShape<typeof FinishSchema>, "outcome" | "noRetry">;

function finishFields(outcome: AttemptOutcome): FinishFields {
  if (outcome.type === "returned") return { outcome: { case: "result", value: outcome.result } };
  const { failure, because, isFinal } = outcome;
  if (because === "shutdown" || because === "handover") return { outcome: { case: "released", value: {} } };
  return { outcome: { case: "error", value: failure }, noRetry: isFinal };
}
