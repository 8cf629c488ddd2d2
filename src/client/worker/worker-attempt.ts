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
import { outsideAttempts, withinAttempt } from "../../telemetry/attempt-context.ts";
import type { AttemptRef } from "../../telemetry/attempt-context.ts";
import { encodeAppend, encodeNewEvent } from "../../codec/work-encoding.ts";

/** One message carries no more, but for an event that is larger by itself. */
const MESSAGE_BYTES_MAX = 256 * 1024;

export interface Window {
  events: number;
  bytes: number;
}

/**
 * An attempt that runs in this process. Its events are kept, by their numbers, until the server has said that they are
 * stored: one stream after the other may send them, and each is stored once.
 */
export class WorkerAttempt implements EventSink {
  readonly taskId: string;
  readonly attempt: number;
  /** Whose code it is, for what comes of it. */
  readonly ref: AttemptRef;
  readonly #onUnsent: (attempt: WorkerAttempt) => void;
  readonly #stopped = new AbortController();
  /** Encoded events. Those that were taken from it were sent by the current stream. */
  readonly #buffer: NumberedBuffer<Uint8Array>;
  #end: { bytes: Uint8Array; isSent: boolean } | null = null;
  #isOver = false;
  #isRefused = false;

  constructor(parts: {
    taskId: string;
    kind: string;
    attempt: number;
    window: Window;
    /** Told when there is something to send. */
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

  /** Fires with AttemptStopped when its code is to stop. */
  get signal(): AbortSignal {
    return this.#stopped.signal;
  }

  /** Whether its code has ended, or was given up, and the server is to hear of that. */
  get hasEnded(): boolean {
    return this.#end !== null;
  }

  emit<Type extends EmittedType>(type: Type, body: EventBodies[Type]): Promise<void> {
    if (this.#isOver || this.#end !== null) return silencedRejection(new LeaseLost(this.taskId));
    this.#buffer.add(encodeNewEvent(type, body));
    outsideAttempts(() => this.#onUnsent(this));
    return this.#buffer.room();
  }

  flush(): Promise<void> {
    return this.#isOver ? silencedRejection(new LeaseLost(this.taskId)) : this.#buffer.flush();
  }

  /** The code is to stop. The first reason counts. */
  stop(because: StopReason): void {
    // What listens to the signal is code of the attempt.
    if (!this.#stopped.signal.aborted) withinAttempt(this.ref, () => this.#stopped.abort(new AttemptStopped(because)));
  }

  /** How its code has ended. It is told to the server until that has stored it. */
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

  /** So many of its events are stored. */
  acknowledge(through: bigint): void {
    const { last } = this.#buffer;
    this.#buffer.acknowledge(through < last ? through : last);
  }

  /** The next message to send; null: there is none. */
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

  /** The server does not take what was sent after the first so many events, and never will: the attempt fails. */
  refuse(message: string, appended: bigint): void {
    if (this.#isOver || this.#isRefused) return; // What was sent after it is refused as well.
    this.#isRefused = true;
    this.#buffer.discardAfter(appended);
    this.#end = null;
    const failure = { reason: "KIND_FAILED", message: `the server refused it: ${message}` };
    this.finish({ type: "threw", failure, because: null, isFinal: false });
    this.stop("lost");
  }

  /** A new stream is there: what is not known to be stored is to be sent by it. */
  resend(): void {
    this.#buffer.resend();
    if (this.#end !== null) this.#end.isSent = false;
    if (!this.#isOver) this.#onUnsent(this);
  }

  /** It is over: its end is stored, or it does not own the task any more. */
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
