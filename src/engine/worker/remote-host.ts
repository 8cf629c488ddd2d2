import { stopReasonOf, toFailure } from "../../domain/attempt.ts";
import type { Validation } from "../../domain/attempt.ts";
import { AppendGap, OutOfPlace } from "../../domain/errors.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { AttemptOutcome, StopReason } from "../../domain/lifecycle.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import { attemptKey } from "../../domain/task.ts";
import type { Fence } from "../../domain/task.ts";
import type { AttemptHost, HostedAttempt } from "../attempt/attempt-host.ts";
import type { TapeWriter } from "../write/tape-writer.ts";
import type {
  AttemptRef,
  Send,
  WorkerAppend,
  WorkerFinish,
  WorkerKind,
  MessageToWorker,
} from "../api/worker-protocol.ts";

/** How long a worker may take to validate a task, in ms. After that, the task is sent for validation again. */
const CHECK_MS = 10_000;

/** An attempt that the worker runs. */
interface HeldAttempt {
  attempt: number;
  isResumable: boolean;
  writer: TapeWriter;
  /** The number of the last event that was accepted. */
  last: bigint;
  signal: AbortSignal;
  end: PromiseWithResolvers<AttemptOutcome>;
  isFinished: boolean;
  isAcknowledging: boolean;
}

/**
 * Runs attempts in a worker's process. Assigns attempts to the worker and tells it when to stop them. Writes its events
 * to the journal as if they came from code in this process. A message out of place is refused and harms no other task.
 */
export class RemoteHost implements AttemptHost {
  // Another server may have assigned such a task on an earlier stream of the worker, and the worker may have no free
  // slot.
  readonly runsUnstartedTasks = false;
  // A worker counts an attempt as its own until the server confirms that the end is stored.
  readonly freesSlotsWithCode = false;
  readonly #kinds: ReadonlyMap<string, WorkerKind>;
  readonly #alreadyRunning: ReadonlySet<string>;
  readonly #graceMs: number;
  readonly #readAppended: (attempt: AttemptRef) => Promise<bigint>;
  readonly #send: Send;
  readonly #held = new Map<string, HeldAttempt>();
  readonly #checks = new Map<string, (validation: Validation | null) => void>();
  #isClosed = false;

  constructor(parts: {
    kinds: readonly WorkerKind[];
    /** The attempts that the worker runs already. They are not assigned again. */
    alreadyRunning: readonly AttemptRef[];
    graceMs: number;
    /** Reads how many events of an attempt are stored; 0 if it is not the task's last attempt. */
    readAppended: (attempt: AttemptRef) => Promise<bigint>;
    send: Send;
  }) {
    this.#kinds = new Map(parts.kinds.map((kind) => [kind.name, kind]));
    this.#alreadyRunning = new Set(parts.alreadyRunning.map(attemptKey));
    this.#graceMs = parts.graceMs;
    this.#readAppended = parts.readAppended;
    this.#send = parts.send;
  }

  retryOf(kind: string): RetrySettings {
    return this.#kinds.get(kind)!.retry;
  }

  isResumable(kind: string): boolean {
    return this.#kinds.get(kind)!.resumable;
  }

  async check(task: { taskId: string; kind: string; params: JsonObject }): Promise<Validation | null> {
    if (!this.#kinds.get(task.kind)!.isExclusive) return { exclusiveKey: null };
    if (this.#isClosed) return null;
    const { promise, resolve } = Promise.withResolvers<Validation | null>();
    const timer = setTimeout(resolve, CHECK_MS, null);
    this.#checks.set(task.taskId, resolve);
    this.#send({ type: "check", ...task });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#checks.delete(task.taskId);
    }
  }

  /** Called when the stream has ended: no more messages of the worker arrive on it. */
  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#checks.values()) resolve(null);
  }

  /** Releases all attempts of the worker. */
  releaseAll(): void {
    for (const held of this.#held.values()) held.end.resolve(outcomeOf({ type: "released" }, held));
  }

  /** Receives the result of a validation. Ignores the result of a task that was not sent for validation. */
  checked(taskId: string, validation: Validation): void {
    this.#checks.get(taskId)?.(validation);
  }

  async run({ task, writer, lastCheckpoint, span }: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome> {
    const { taskId, attempt } = task;
    const ref = { taskId, attempt };
    const kind = this.#kinds.get(task.kind);
    if (kind === undefined) return stopped("lost"); // The worker resumed without a kind that it had before.
    const end = Promise.withResolvers<AttemptOutcome>();
    const state = { isFinished: false, isAcknowledging: false, last: writer.accepted };
    this.#endFormerAttempt(taskId);
    this.#held.set(taskId, { attempt, isResumable: kind.resumable, writer, signal, end, ...state });
    if (!this.#alreadyRunning.has(attemptKey(ref))) {
      try {
        const checkpoint = await lastCheckpoint();
        if (!signal.aborted) this.#send({ type: "assign", task, checkpoint, traceparent: span.traceparent });
      } catch (error) {
        if (!signal.aborted) return { type: "threw", failure: toFailure(error), because: null, isFinal: false };
      }
      if (signal.aborted) return stopped(stopReasonOf(signal)!);
    }
    const onStop = () => {
      const because = stopReasonOf(signal);
      if (because === "cancel" || because === "deadline") {
        this.#send({ type: "stop", ...ref, because, graceMs: this.#graceMs });
      } else {
        // What the code could still emit over the limit would not be stored, so the code gets no grace.
        end.resolve(stopped(because === "limit" ? "limit" : "lost"));
      }
    };
    if (signal.aborted) onStop();
    else signal.addEventListener("abort", onStop, { once: true });
    return end.promise;
  }

  within(_: unknown, work: () => void): void {
    work();
  }

  onEnded({ taskId, attempt }: Fence, isStored: boolean): void {
    if (this.#held.get(taskId)?.attempt !== attempt) return;
    this.#held.delete(taskId);
    this.#send({ type: isStored ? "finished" : "lease_lost", taskId, attempt });
  }

  /**
   * Appends events of one of the worker's attempts. Events that were accepted before are acknowledged again, and are
   * not appended twice.
   *
   * Resolves when there is room for more.
   */
  async append({ firstNumber, events, ...ref }: WorkerAppend): Promise<void> {
    const held = this.#find(ref);
    if (held === undefined) {
      const through = firstNumber + BigInt(events.length) - 1n;
      return this.#answerUnheld(ref, through, { type: "appended", ...ref, through });
    }
    if (held.isFinished)
      return this.refuse(ref, new OutOfPlace("events after Finish: an attempt ends with its Finish"));
    if (firstNumber > held.last + 1n) return this.refuse(ref, new AppendGap(ref.taskId, held.last));
    try {
      for (const event of events.slice(Number(held.last + 1n - firstNumber))) {
        const room = held.writer.append(event);
        if (held.writer.isOverLimit) return; // The attempt ends, and this event and later ones are not stored.
        // One message may hold more than a tape has room for.
        if (!held.writer.hasRoom) await room;
        held.last++;
        void this.#acknowledge(ref, held);
      }
    } catch {
      // The attempt has lost its lease. onEnded notifies the worker.
    }
  }

  /** Ends one of the worker's attempts. The worker is notified when the end is stored. */
  async finish({ number, end, ...ref }: WorkerFinish): Promise<void> {
    const held = this.#find(ref);
    if (held === undefined) return this.#answerUnheld(ref, number, { type: "finished", ...ref });
    if (held.isFinished) return this.refuse(ref, new OutOfPlace("duplicate Finish: an attempt has exactly one"));
    if (number > held.last + 1n) return this.refuse(ref, new AppendGap(ref.taskId, held.last));
    if (number <= held.last)
      return this.refuse(
        ref,
        new OutOfPlace(`number: ${number} is an event's; the Finish must have ${held.last + 1n}`),
      );
    held.isFinished = true;
    held.end.resolve(outcomeOf(end, held));
  }

  /** Notifies the worker that a message of an attempt was refused. */
  refuse(ref: AttemptRef, error: SpoolError): void {
    this.#send({ type: "refused", ...ref, error, appended: this.#find(ref)?.last ?? 0n });
  }

  #find({ taskId, attempt }: AttemptRef): HeldAttempt | undefined {
    const held = this.#held.get(taskId);
    return held?.attempt === attempt ? held : undefined;
  }

  /** Ends an earlier attempt at the same task that the worker still holds. */
  #endFormerAttempt(taskId: string): void {
    const former = this.#held.get(taskId);
    if (former === undefined) return;
    former.end.resolve(stopped("lost"));
    this.#send({ type: "lease_lost", taskId, attempt: former.attempt });
  }

  /** Answers for an attempt that the worker does not own: acknowledges stored numbers; the rest is never stored. */
  async #answerUnheld(ref: AttemptRef, number: bigint, acknowledgement: MessageToWorker): Promise<void> {
    const isStored = (await this.#readAppended(ref)) >= number;
    this.#send(isStored ? acknowledgement : { type: "lease_lost", ...ref });
  }

  /** Notifies the worker through which number events are durable, once for all events that came before they were. */
  async #acknowledge(ref: AttemptRef, held: HeldAttempt): Promise<void> {
    if (held.isAcknowledging) return;
    held.isAcknowledging = true;
    try {
      let through: bigint;
      do {
        await held.writer.flush();
        through = held.last < held.writer.durable ? held.last : held.writer.durable; // `durable` counts the end too.
        this.#send({ type: "appended", ...ref, through });
      } while (held.last > through);
    } catch {
      // The attempt has lost its lease. onEnded notifies the worker.
    } finally {
      held.isAcknowledging = false;
    }
  }
}

function outcomeOf(end: WorkerFinish["end"], { signal, isResumable }: HeldAttempt): AttemptOutcome {
  switch (end.type) {
    case "result":
      return { type: "returned", result: end.result };
    case "error":
      return { type: "threw", failure: end.failure, because: stopReasonOf(signal), isFinal: end.isFinal };
    case "released":
      return stopped(stopReasonOf(signal) ?? (isResumable ? "handover" : "shutdown"));
  }
}

/** Returns the outcome of a stopped attempt. The reason of the stop decides what happens to its task. */
function stopped(because: StopReason): AttemptOutcome {
  return { type: "threw", failure: { reason: "WORKER_LOST", message: "" }, because, isFinal: false };
}
