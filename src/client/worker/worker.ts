import { hostname } from "node:os";
import { pause } from "../../async/pause.ts";
import type { RetryBudget } from "../../async/retry.ts";
import { within } from "../../async/time-limit.ts";
import type { Kind } from "../../domain/kind.ts";
import { WORKER_CAPACITY_MAX } from "../../domain/limits.ts";
import { openConnection } from "../transport/connection.ts";
import type { ConnectionOptions } from "../transport/connection-options.ts";
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
/**
 * How long the worker waits at its stop for the server to store ends of tasks, and then for the stream to end, in ms.
 */
const LEAVE_MS = 5_000;

export interface WorkerOptions extends ConnectionOptions {
  /** The kinds to run, made by defineKind. A server can run the same kinds in its own process. */
  kinds: readonly Kind[];
  /** How many tasks to run at once, 1 to 10,000. Default 16. */
  concurrency?: number | undefined;
  /** How long to retry a lost or unreachable service, in ms, before the worker fails. Default: no limit. */
  retryMs?: number | undefined;
  /** How long running tasks may continue after the stop is requested, in ms. Default 10 s. */
  drainMs?: number | undefined;
  /** How long the code may then take after its signal fires, in ms. Default 5 s. */
  graceMs?: number | undefined;
  /** Whether SIGTERM and SIGINT stop the worker. A second signal ends the process. Default true. */
  signals?: boolean | undefined;
  /** Called for each event of the worker, for a log. */
  onNotice?: ((notice: WorkerNotice) => void) | undefined;
}

/** A worker: runs tasks of a service in this process. */
export interface SpoolWorker extends AsyncDisposable {
  /** Resolves when the worker has stopped. Rejects when it cannot continue. */
  readonly stopped: Promise<void>;
  /**
   * Takes no more tasks, lets running tasks continue for drainMs, asks the rest to stop, and disconnects. Unfinished
   * tasks are released: a task of a resumable kind continues in another process.
   */
  stop(): Promise<void>;
}

/**
 * Runs tasks of the given kinds in this process. The worker connects to a server, which assigns at most `concurrency`
 * tasks. After a disconnect it reconnects to any server of the service and keeps its running tasks. Events that the
 * server confirmed as stored are neither lost nor stored twice.
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
  /** The worker has sent its leave, which may not have arrived: the session's lease then expires. */
  #hasLeft = false;
  /** Resolves when no more assignments are on their way to this worker. */
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
    this.stopped.catch(() => {}); // Callers that await it get the error.
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
    // Does not wait for a missing stream, or longer than LEAVE_MS for one that does not end.
    const timer = setTimeout(() => this.#halted.abort(), this.#stream === null ? 0 : LEAVE_MS);
    await this.stopped.catch(() => {}).finally(() => clearTimeout(timer));
  }

  /** Waits for work that may never end, at most waitMs. */
  async #within(waitMs: number, work: Promise<void>): Promise<void> {
    await within(work, waitMs, this.#halted.signal);
  }

  /** Connects and reconnects until the worker has left. */
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

  /** Serves one stream to its end. */
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

/** Codes of errors that a retry would meet again. */
const FINAL_CODES = new Set(["INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"]);

/** Returns the error as a transient one, unless its code is final: another server, or a later try, may succeed. */
function transient(error: unknown): unknown {
  if (!(error instanceof SpoolRpcError) || FINAL_CODES.has(error.code)) return error;
  const { retryAfterMs } = error;
  return new SpoolRpcError("UNAVAILABLE", error.message, { retryAfterMs }, { cause: error });
}
