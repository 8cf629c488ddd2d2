import { stopReasonOf, toFailure } from "../../domain/attempt.ts";
import type { Finding } from "../../domain/attempt.ts";
import { AppendGap, OutOfPlace } from "../../domain/errors.ts";
import type { SpoolError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { AttemptOutcome, StopReason } from "../../domain/lifecycle.ts";
import type { RetrySettings } from "../../domain/retry.ts";
import { attemptKey } from "../../domain/task.ts";
import type { Fence } from "../../domain/task.ts";
import type { AttemptHost, HostedAttempt } from "../attempt/attempt-host.ts";
import type { TapeWriter } from "../write/tape-writer.ts";
import type { AttemptRef, Send, WorkerAppend, WorkerFinish, WorkerKind, WorkerNotice } from "../api/worker-protocol.ts";

/** How long a worker may take to look a task over; then it is asked again. */
const CHECK_MS = 10_000;

/** An attempt that is the worker's. */
interface Held {
  attempt: number;
  isResumable: boolean;
  writer: TapeWriter;
  /** The number of the last event that was taken. */
  last: bigint;
  signal: AbortSignal;
  end: PromiseWithResolvers<AttemptOutcome>;
  isFinished: boolean;
  isAcknowledging: boolean;
}

/**
 * Runs attempts in a worker's process: it is told what to run and when to stop, and what it says of its attempts goes to
 * the journal as if it came from code in this process. What is out of place is refused and harms no other task.
 */
export class RemoteHost implements AttemptHost {
  // Another server may have meant it for an earlier stream of the worker's, and there may be no room for it.
  readonly runsUnstartedTasks = false;
  // A worker counts an attempt as its own until it hears that the end is stored.
  readonly freesSlotsWithCode = false;
  readonly #kinds: ReadonlyMap<string, WorkerKind>;
  readonly #known: ReadonlySet<string>;
  readonly #graceMs: number;
  readonly #readAppended: (attempt: AttemptRef) => Promise<bigint>;
  readonly #send: Send;
  readonly #held = new Map<string, Held>();
  readonly #checks = new Map<string, (finding: Finding | null) => void>();
  #isClosed = false;

  constructor(parts: {
    kinds: readonly WorkerKind[];
    /** What the worker runs already: it is not assigned again. */
    known: readonly AttemptRef[];
    graceMs: number;
    /** How many events are stored of an attempt that the worker does not hold: 0 where that is not the task's last. */
    readAppended: (attempt: AttemptRef) => Promise<bigint>;
    send: Send;
  }) {
    this.#kinds = new Map(parts.kinds.map((kind) => [kind.name, kind]));
    this.#known = new Set(parts.known.map(attemptKey));
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

  async check(task: { taskId: string; kind: string; params: JsonObject }): Promise<Finding | null> {
    if (!this.#kinds.get(task.kind)!.isExclusive) return { exclusiveKey: null };
    if (this.#isClosed) return null;
    const { promise, resolve } = Promise.withResolvers<Finding | null>();
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

  /** The stream has ended: nothing more is heard of the worker by it. */
  close(): void {
    this.#isClosed = true;
    for (const resolve of this.#checks.values()) resolve(null);
  }

  /** The worker gives back what it has. */
  releaseAll(): void {
    for (const held of this.#held.values()) held.end.resolve(outcomeOf({ type: "released" }, held));
  }

  /** What the worker makes of a task's params. Of one that nobody has asked about, nothing. */
  checked(taskId: string, finding: Finding): void {
    this.#checks.get(taskId)?.(finding);
  }

  async run({ task, writer, lastCheckpoint, span }: HostedAttempt, signal: AbortSignal): Promise<AttemptOutcome> {
    const { taskId, attempt } = task;
    const ref = { taskId, attempt };
    const kind = this.#kinds.get(task.kind);
    if (kind === undefined) return stopped("lost"); // The worker came back without a kind that it had.
    const end = Promise.withResolvers<AttemptOutcome>();
    const state = { isFinished: false, isAcknowledging: false, last: writer.accepted };
    this.#giveUp(taskId);
    this.#held.set(taskId, { attempt, isResumable: kind.resumable, writer, signal, end, ...state });
    if (!this.#known.has(attemptKey(ref))) {
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
      } else end.resolve(stopped("lost"));
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
   * Events of one of the worker's attempts. What was taken before is acknowledged again, and not taken twice.
   *
   * @returns when there is room for more
   */
  async append({ firstNumber, events, ...ref }: WorkerAppend): Promise<void> {
    const held = this.#find(ref);
    if (held === undefined) {
      const through = firstNumber + BigInt(events.length) - 1n;
      return this.#answerForgotten(ref, through, { type: "appended", ...ref, through });
    }
    if (held.isFinished) return this.refuse(ref, new OutOfPlace("events after the finish of their attempt"));
    if (firstNumber > held.last + 1n) return this.refuse(ref, new AppendGap(ref.taskId, held.last));
    try {
      for (const event of events.slice(Number(held.last + 1n - firstNumber))) {
        const room = held.writer.append(event);
        // One message may hold more than a tape has room for.
        if (!held.writer.hasRoom) await room;
        held.last++;
        void this.#acknowledge(ref, held);
      }
    } catch {
      // A lease that is lost is told by its own way.
    }
  }

  /** The end of one of the worker's attempts. It is told when that is stored. */
  async finish({ number, end, ...ref }: WorkerFinish): Promise<void> {
    const held = this.#find(ref);
    if (held === undefined) return this.#answerForgotten(ref, number, { type: "finished", ...ref });
    if (held.isFinished) return this.refuse(ref, new OutOfPlace("a second finish of an attempt"));
    if (number > held.last + 1n) return this.refuse(ref, new AppendGap(ref.taskId, held.last));
    if (number <= held.last) return this.refuse(ref, new OutOfPlace(`number: an event has ${number} already`));
    held.isFinished = true;
    held.end.resolve(outcomeOf(end, held));
  }

  /** Says that a message of an attempt was not taken. */
  refuse(ref: AttemptRef, error: SpoolError): void {
    this.#send({ type: "refused", ...ref, error, appended: this.#find(ref)?.last ?? 0n });
  }

  #find({ taskId, attempt }: AttemptRef): Held | undefined {
    const held = this.#held.get(taskId);
    return held?.attempt === attempt ? held : undefined;
  }

  /** An earlier attempt at the same task, which the worker has still. */
  #giveUp(taskId: string): void {
    const former = this.#held.get(taskId);
    if (former === undefined) return;
    former.end.resolve(stopped("lost"));
    this.#send({ type: "lease_lost", taskId, attempt: former.attempt });
  }

  /** One that is not the worker's (any more): what had been stored is acknowledged, the rest never will be. */
  async #answerForgotten(ref: AttemptRef, number: bigint, acknowledgement: WorkerNotice): Promise<void> {
    const isStored = (await this.#readAppended(ref)) >= number;
    this.#send(isStored ? acknowledgement : { type: "lease_lost", ...ref });
  }

  /** Tells through which number the events are durable, once for all that came before that was so. */
  async #acknowledge(ref: AttemptRef, held: Held): Promise<void> {
    if (held.isAcknowledging) return;
    held.isAcknowledging = true;
    try {
      let through: bigint;
      do {
        await held.writer.flush();
        through = held.last < held.writer.durable ? held.last : held.writer.durable; // The end has a number too.
        this.#send({ type: "appended", ...ref, through });
      } while (held.last > through);
    } catch {
      // The attempt has lost its task, and is told so when it is over.
    } finally {
      held.isAcknowledging = false;
    }
  }
}

function outcomeOf(end: WorkerFinish["end"], { signal, isResumable }: Held): AttemptOutcome {
  switch (end.type) {
    case "result":
      return { type: "returned", result: end.result };
    case "error":
      return { type: "threw", failure: end.failure, because: stopReasonOf(signal), isFinal: end.isFinal };
    case "released":
      return stopped(stopReasonOf(signal) ?? (isResumable ? "handover" : "shutdown"));
  }
}

/** Of an attempt that was stopped, why it was says what becomes of its task. */
function stopped(because: StopReason): AttemptOutcome {
  return { type: "threw", failure: { reason: "WORKER_LOST", message: "" }, because, isFinal: false };
}
