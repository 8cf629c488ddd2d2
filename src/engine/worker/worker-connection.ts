import { SessionLost, WorkerSilent } from "../../domain/errors.ts";
import type { SpoolError } from "../../domain/errors.ts";
import { attemptKey } from "../../domain/task.ts";
import { SlotBudget } from "../attempt/slot-budget.ts";
import { readAppended, readOwnedTasks } from "../../store/tasks/owned-tasks.ts";
import { RemoteHost } from "./remote-host.ts";
import { WorkerLiveness } from "./worker-liveness.ts";
import { digestOf } from "./resume-token.ts";
import { openWorkerSession } from "./worker-session.ts";
import { Runner } from "../cluster/runner.ts";
import type { RunnerSurroundings } from "../cluster/runner.ts";
import type { Runners } from "../cluster/runners.ts";
import type { Session } from "../cluster/session.ts";
import type {
  AttemptRef,
  Send,
  WorkerAppend,
  WorkerChecked,
  WorkerFinish,
  WorkerHello,
  MessageToWorker,
} from "../api/worker-protocol.ts";

// A connection is in one of four states:
//
//   opening ──▶ welcomed ──▶ serving
//      │            │            │
//      └────────────┴────────────┴───▶ closed
//
// opening   The session is being resumed or opened. Nothing was sent to the worker.
// welcomed  Welcome was sent. It may be lost on its way, and the resume token with it, so the worker is assigned
//           nothing. Attempts that the worker has from an earlier stream continue.
// serving   The worker has sent something after Welcome, so it has the token. It is assigned tasks, except while it is
//           suspect: silent for one and a half heartbeats. Its session is not renewed then either.
// closed    The stream has ended: the worker left or disconnected, was silent for three heartbeats, has lost its
// session,
//           or this server stops. Nothing more is sent. Messages that have arrived are still stored.
//
// Drain is no state: a drained worker is served as before, but its runner claims nothing.

type State = "opening" | "welcomed" | "serving" | "closed";

/** How long messages are still stored after the stream has ended, in ms. The worker sends the rest again. */
const ABANDON_MS = 1_000;

interface ConnectionParts {
  surroundings: RunnerSurroundings;
  runners: Runners;
  leaseMs: number;
  hello: WorkerHello;
  send: Send;
  /** Called when everything is released. */
  onClosed: (connection: WorkerConnection) => void;
}

/**
 * The stream of one worker: its session, and the runner of its tasks. The stream renews the session. When the stream
 * ends, the tasks stay as they are stored. The worker can resume the session on another stream, at any server, until
 * its lease expires.
 */
export class WorkerConnection {
  readonly #parts: ConnectionParts;
  readonly #liveness: WorkerLiveness;
  readonly #host: RemoteHost;
  readonly #runner: Runner;
  readonly #over = Promise.withResolvers<SpoolError>();
  #state: State = "opening";
  /** null until the session is open. */
  #session: Session | null = null;
  /** The digest of the token that resumes the session; null until the session is open. */
  #tokenDigest: string | null = null;
  #heartbeats: NodeJS.Timeout | undefined;
  #closed: Promise<void> | null = null;

  private constructor(parts: ConnectionParts) {
    const { surroundings, hello, leaseMs } = parts;
    this.#parts = parts;
    this.#liveness = new WorkerLiveness({ leaseMs });
    this.#host = new RemoteHost({
      kinds: hello.kinds,
      alreadyRunning: hello.running,
      graceMs: surroundings.graceMs,
      readAppended: (attempt) => this.#readAppended(attempt),
      send: (notice) => this.#send(notice),
    });
    this.#runner = new Runner({
      ...surroundings,
      host: this.#host,
      kinds: hello.kinds,
      budget: new SlotBudget(hello.capacity),
      isReady: () => this.#state === "serving" && !this.#liveness.isSuspect,
    });
  }

  /** Opens a session, or resumes the one whose token the worker has, and welcomes it. @throws StoreUnavailable */
  static async open(parts: ConnectionParts): Promise<WorkerConnection> {
    const connection = new WorkerConnection(parts);
    try {
      await connection.#open();
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Whether a token resumes the session of this connection. The id alone, which ListSessions returns, does not. */
  isResumedBy(token: string): boolean {
    return digestOf(token) === this.#tokenDigest;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Resolves with the reason to end the stream, unless the worker has ended it. */
  get over(): Promise<SpoolError> {
    return this.#over.promise;
  }

  /** Called when the worker has sent something. */
  markAlive(): void {
    this.#liveness.markAlive();
    if (this.#state !== "welcomed") return;
    this.#state = "serving";
    this.#runner.onWaiting();
  }

  /** Appends events of an attempt. Resolves when there is room for more. */
  append(append: WorkerAppend): Promise<void> {
    return this.#take(this.#host.append(append));
  }

  /** Ends an attempt. */
  finish(finish: WorkerFinish): Promise<void> {
    return this.#take(this.#host.finish(finish));
  }

  /** Receives the result of a validation. */
  checked({ taskId, validation }: WorkerChecked): void {
    this.#host.checked(taskId, validation);
  }

  /** Notifies the worker that a message of an attempt was refused. */
  refuse(ref: AttemptRef, error: SpoolError): void {
    this.#host.refuse(ref, error);
  }

  /** Stops assigning tasks, as the worker asks. Sends Drained when no task is on its way to the worker any more. */
  async stopAssigning(): Promise<void> {
    await Promise.all([this.#runner.stopClaiming(), this.#session?.announceLeave()]);
    this.#send({ type: "drained" });
  }

  /** Stops assigning tasks because this server shuts down. */
  drain(): Promise<void> {
    this.#send({ type: "drain" });
    return this.#runner.stopClaiming();
  }

  /** Ends the stream from this side. */
  end(error: SpoolError): Promise<void> {
    this.#over.resolve(error);
    return this.close();
  }

  /**
   * Closes the connection after its stream has ended.
   *
   * @param hasLeft whether the worker has left for good: then the tasks that it still owns are released
   */
  close({ hasLeft = false } = {}): Promise<void> {
    this.#closed ??= this.#close(hasLeft);
    return this.#closed;
  }

  async #open(): Promise<void> {
    const { surroundings, runners, hello, leaseMs } = this.#parts;
    const { session, token, isResumed } = await openWorkerSession(hello, {
      surroundings,
      leaseMs,
      kinds: this.#runner.offers,
      mayRenew: () => !this.#liveness.isSuspect,
      onLost: () => this.#onSessionLost(),
    });
    this.#session = session;
    this.#tokenDigest = digestOf(token);
    const owned = isResumed ? await readOwnedTasks(surroundings.db, session.id) : [];
    if (this.isClosed) return; // The session was lost meanwhile.
    const running = new Set(hello.running.map(attemptKey));
    const held = owned.filter(({ task }) => running.has(attemptKey(task)));
    this.#liveness.markAlive();
    this.#state = "welcomed";
    this.#send({
      type: "welcome",
      sessionId: session.id,
      resumeToken: token,
      resumed: isResumed,
      held: held.map(({ task: { taskId, attempt }, appended }) => ({ taskId, attempt, appended })),
      heartbeatMs: this.#liveness.heartbeatMs,
      leaseMs,
    });
    for (const attempt of held) this.#runner.resume(attempt);
    for (const unheld of owned) if (!running.has(attemptKey(unheld.task))) await this.#runner.releaseTask(unheld);
    if (this.isClosed) return;
    this.#runner.start(session);
    if (hello.isDraining) void this.stopAssigning();
    this.#runner.onTouched(); // A cancel of one of the tasks may have come in the meantime.
    runners.add(this.#runner);
    this.#heartbeats = setInterval(() => this.#beat(), this.#liveness.heartbeatMs);
  }

  async #close(hasLeft: boolean): Promise<void> {
    this.#state = "closed";
    clearInterval(this.#heartbeats);
    this.#parts.runners.remove(this.#runner);
    this.#host.close();
    await this.#runner.stop();
    if (hasLeft) {
      this.#host.releaseAll();
      await this.#runner.executor.whenIdle(ABANDON_MS);
    }
    await this.#runner.executor.abandon(ABANDON_MS);
    try {
      await (hasLeft ? this.#session?.close() : this.#session?.stopRenewing());
    } catch (error) {
      const fields = { err: error, session_id: this.#session?.id };
      this.#parts.surroundings.log.warn(fields, "worker-connection: session not closed, it will expire");
    }
    this.#parts.onClosed(this);
  }

  #onSessionLost(): void {
    this.#parts.surroundings.observer.sessionLost("worker");
    void this.end(new SessionLost("session expired, or resumed on another stream"));
  }

  async #take(taken: Promise<void>): Promise<void> {
    this.#liveness.takeBegin();
    try {
      await taken;
    } finally {
      this.#liveness.takeEnd();
      this.markAlive();
    }
  }

  #beat(): void {
    this.#send({ type: "heartbeat" });
    // This process itself may have been blocked. Messages that have arrived meanwhile are read first.
    if (this.#liveness.isDead) setImmediate(() => this.#endIfDead());
  }

  #endIfDead(): void {
    if (this.#liveness.isDead) void this.end(new WorkerSilent(this.#liveness.deadAfterMs));
  }

  #send(notice: MessageToWorker): void {
    if (this.#state !== "closed") this.#parts.send(notice);
  }

  async #readAppended({ taskId, attempt }: AttemptRef): Promise<bigint> {
    const { surroundings, hello } = this.#parts;
    const { db, namespace } = surroundings;
    // A worker may send any id. It must not learn how far tasks are that its caller may not see.
    const kinds = hello.kinds.map(({ name }) => name);
    return readAppended(db, { namespace, taskId, attempt, kinds });
  }
}
