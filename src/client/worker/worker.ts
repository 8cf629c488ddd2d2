import { hostname } from "node:os";
import { pause } from "../../async/pause.ts";
import type { RetryBudget } from "../../async/retry.ts";
import { within } from "../../async/time-limit.ts";
import type { Kind } from "../../domain/kind.ts";
import { WORKER_CAPACITY_MAX } from "../../domain/limits.ts";
import { openConnection } from "../transport/connection.ts";
import type { ConnectionOptions } from "../transport/connection.ts";
import { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { GrpcTransport } from "../transport/grpc-transport.ts";
import { retryPolicyMessage } from "../requests.ts";
import { retryBudget } from "../retry.ts";
import { WorkerAttempts } from "./worker-attempts.ts";
import type { WorkerNotice } from "./worker-notice.ts";
import { watchProcess } from "./process-watch.ts";
import { WorkerStream } from "./worker-stream.ts";

const CONCURRENCY_DEFAULT = 16;
const DRAIN_MS_DEFAULT = 10_000;
const GRACE_MS_DEFAULT = 5_000;
/** How long the ends of its tasks, and its leave, may take to reach the server beyond that. */
const LEAVE_MS = 5_000;

export interface WorkerOptions extends ConnectionOptions {
  /** What it runs, made by defineKind: the same kinds as a server runs in its own process. */
  kinds: readonly Kind[];
  /** How many tasks it runs at once, 1 to 10,000. Default 16. */
  concurrency?: number | undefined;
  /** How long it tries to come back to a server, in ms, before it gives up. Default: for ever. */
  retryMs?: number | undefined;
  /** How long tasks may run on once it is to stop, in ms. Default 10 s. */
  drainMs?: number | undefined;
  /** How long their code may take after its signal has fired then, in ms. Default 5 s. */
  graceMs?: number | undefined;
  /** Whether SIGTERM and SIGINT stop it. Default: they do. A second one ends the process. */
  signals?: boolean | undefined;
  /** Told what happens, for a log. */
  onNotice?: ((notice: WorkerNotice) => void) | undefined;
}

/** Runs tasks in this process, for a service elsewhere. */
export interface SpoolWorker extends AsyncDisposable {
  /** Resolves when it has stopped; rejects when it cannot go on. */
  readonly stopped: Promise<void>;
  /**
   * Takes no more tasks, lets those that it has run on for drainMs, tells the code of the rest to stop, and leaves. What
   * has not ended by itself is released: a resumable kind's task goes on elsewhere.
   */
  stop(): Promise<void>;
}

/**
 * Runs tasks of kinds in this process: it connects to a server, which gives it no more than it has room for. It comes
 * back by itself when the connection is lost, to any server of the service, with the tasks that it has: nothing that it
 * was told is stored is lost or stored twice.
 *
 * @throws TypeError for options out of their bounds
 */
export function worker(options: WorkerOptions): SpoolWorker {
  const { kinds, concurrency = CONCURRENCY_DEFAULT } = options;
  if (kinds.length === 0) throw new TypeError("kinds: must have at least one");
  if (new Set(kinds.map(({ name }) => name)).size < kinds.length) throw new TypeError("kinds: a name is there twice");
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > WORKER_CAPACITY_MAX) {
    throw new TypeError(`concurrency: must be an integer from 1 to ${WORKER_CAPACITY_MAX}`);
  }
  return new ConnectedWorker({ ...options, concurrency });
}

class ConnectedWorker implements SpoolWorker {
  readonly stopped: Promise<void>;
  readonly #options: WorkerOptions & { concurrency: number };
  readonly #transport: GrpcTransport;
  readonly #attempts: WorkerAttempts;
  readonly #halted = new AbortController();
  #stream: WorkerStream | null = null;
  #token = "";
  #heartbeatMs: number | undefined;
  #isDraining = false;
  /** It has said so, whether that was heard or not: its session runs out by itself. */
  #hasLeft = false;
  /** Resolves when nothing is on its way to this worker any more. */
  readonly #drained = Promise.withResolvers<void>();
  #stopping: Promise<void> | null = null;

  constructor(options: WorkerOptions & { concurrency: number }) {
    this.#options = options;
    this.#transport = openConnection(options);
    const { kinds, onNotice = () => {} } = options;
    this.#attempts = new WorkerAttempts({ kinds, onNotice, onUnsent: (attempt) => this.#stream?.onUnsent(attempt) });
    const unwatch = watchProcess((attempt, error) => {
      onNotice({ type: "fatal", ...attempt, ...(error !== undefined && { error }) });
    });
    const stop = () => void this.stop();
    if (options.signals !== false) for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, stop);
    this.stopped = this.#serve().finally(() => {
      for (const name of ["SIGTERM", "SIGINT"] as const) process.off(name, stop);
      unwatch();
      this.#attempts.closeAll();
      this.#transport.close();
    });
    this.stopped.catch(() => {}); // Who asks is told.
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
    await this.stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    const { drainMs = DRAIN_MS_DEFAULT, graceMs = GRACE_MS_DEFAULT } = this.#options;
    this.#isDraining = true;
    this.#stream?.say({ case: "drain", value: {} });
    const isIdle = this.#drained.promise.then(() => this.#attempts.whenNone());
    await this.#within(drainMs, isIdle);
    this.#attempts.stopAll();
    await this.#within(graceMs, this.#attempts.whenNone());
    this.#attempts.releaseAll();
    await this.#within(LEAVE_MS, this.#attempts.whenNone());
    this.#hasLeft = true;
    this.#stream?.leave();
    // A stream that is not there, or does not end, is not waited for.
    const timer = setTimeout(() => this.#halted.abort(), this.#stream === null ? 0 : LEAVE_MS);
    await this.stopped.catch(() => {}).finally(() => clearTimeout(timer));
  }

  /** Waits for something that may not come, for so long. */
  async #within(waitMs: number, work: Promise<void>): Promise<void> {
    await within(work, waitMs, this.#halted.signal);
  }

  /** Comes back until it has left. */
  async #serve(): Promise<void> {
    const { retryMs = Infinity, onNotice = () => {} } = this.#options;
    const budget = retryBudget(retryMs);
    for (;;) {
      try {
        await this.#connect(budget);
        if (this.#stopping !== null) return;
      } catch (error) {
        if (this.#halted.signal.aborted || this.#hasLeft) return;
        const delayMs = budget.nextDelayMs(transient(error));
        if (delayMs === null) throw error;
        onNotice({ type: "disconnected", error: error as Error, delayMs });
        await pause(delayMs, this.#halted.signal).catch(() => {});
        if (this.#halted.signal.aborted) return;
      }
    }
  }

  /** One stream, to its end. */
  async #connect(budget: RetryBudget): Promise<void> {
    const { onNotice = () => {} } = this.#options;
    const options = { heartbeatMs: this.#heartbeatMs, signal: this.#halted.signal };
    const stream = WorkerStream.open(this.#transport, this.#hello(), options);
    try {
      for await (const message of stream.messages()) {
        switch (message.case) {
          case "welcome": {
            const { resumeToken, sessionId, resumed } = message.value;
            budget.succeeded();
            this.#token = resumeToken;
            this.#heartbeatMs = stream.heartbeatMs;
            this.#stream = stream;
            this.#attempts.onWelcome(message.value);
            stream.say({ case: "heartbeat", value: {} });
            if (this.#isDraining) stream.say({ case: "drain", value: {} });
            onNotice({ type: "connected", sessionId, resumed });
            break;
          }
          case "check":
            stream.say({ case: "checked", value: this.#attempts.check(message.value) });
            break;
          case "drained":
            this.#drained.resolve();
            break;
          case "drain":
            onNotice({ type: "draining" });
            break;
          default:
            this.#attempts.take(message);
        }
      }
    } finally {
      this.#stream = null;
    }
  }

  #hello() {
    const { kinds, concurrency } = this.#options;
    return {
      kinds: kinds.map(({ name, retry, resumable, isExclusive }) => ({
        name,
        resumable,
        checks: isExclusive,
        maxAttempts: retry.maxAttempts ?? 0,
        retryPolicy: retryPolicyMessage(retry),
      })),
      capacity: concurrency,
      resumeToken: this.#token,
      running: this.#attempts.held(),
      host: hostname(),
      pid: process.pid,
      draining: this.#isDraining,
    };
  }
}

/** Errors that another try would meet again. */
const FINAL_CODES = new Set(["INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]);

/** The error as one that may go away, unless it will not: another stream may do better, at another server or later. */
function transient(error: unknown): unknown {
  if (!(error instanceof SpoolRpcError) || FINAL_CODES.has(error.code)) return error;
  const { retryAfterMs } = error;
  return new SpoolRpcError("UNAVAILABLE", error.message, { retryAfterMs }, { cause: error });
}
