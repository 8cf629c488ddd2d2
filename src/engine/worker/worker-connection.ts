import { createHash, randomBytes } from "node:crypto";
import { SessionLost, WorkerSilent } from "../../domain/errors.ts";
import type { SpoolError } from "../../domain/errors.ts";
import { attemptKey } from "../../domain/task.ts";
import { readAppended, readOwnedTasks } from "../../store/tasks/owned-tasks.ts";
import { RemoteHost } from "./remote-host.ts";
import { Runner } from "../cluster/runner.ts";
import type { RunnerSurroundings } from "../cluster/runner.ts";
import type { Runners } from "../cluster/runners.ts";
import { RENEWALS, Session } from "../cluster/session.ts";
import type {
  AttemptRef,
  Send,
  WorkerAppend,
  WorkerChecked,
  WorkerFinish,
  WorkerHello,
  WorkerNotice,
} from "../api/worker-protocol.ts";

/** How often each side shows the other that it lives, as a part of the lease. */
const HEARTBEATS = RENEWALS;
/** A worker that was silent for so many heartbeats is given nothing, and its session is not renewed. */
const DOUBTFUL_HEARTBEATS = 1.5;
/** And for so many, its stream is dead. */
const SILENT_HEARTBEATS = 3;
/** What a worker has sent is stored after its stream has ended, if that takes no longer. It sends it again if not. */
const ABANDON_MS = 1_000;

interface ConnectionParts {
  surroundings: RunnerSurroundings;
  runners: Runners;
  leaseMs: number;
  hello: WorkerHello;
  send: Send;
  /** Told when all of it is let go of. */
  onClosed: (connection: WorkerConnection) => void;
}

/**
 * A worker that is connected by a stream: its session, and the runner of its tasks. The stream is what keeps the session
 * alive. When it ends, everything here is let go of and left as it is stored; the worker resumes the session by another
 * stream, at any server, until its lease has run out.
 */
export class WorkerConnection {
  readonly #parts: ConnectionParts;
  readonly #heartbeatMs: number;
  readonly #host: RemoteHost;
  readonly #runner: Runner;
  readonly #over = Promise.withResolvers<SpoolError>();
  #session: Session | null = null;
  #timer: NodeJS.Timeout | undefined;
  #heardAt = performance.now();
  /** Messages that are being taken: what comes after them is not read yet. */
  #taking = 0;
  #isOpen = true;
  /** It has said something after its welcome: until then that may have been lost, and its token with it. */
  #isWelcomed = false;
  #closed: Promise<void> | null = null;

  private constructor(parts: ConnectionParts) {
    const { surroundings, hello, leaseMs } = parts;
    this.#parts = parts;
    this.#heartbeatMs = leaseMs / HEARTBEATS;
    this.#host = new RemoteHost({
      kinds: hello.kinds,
      known: hello.running,
      graceMs: surroundings.graceMs,
      readAppended: (attempt) => this.#readAppended(attempt),
      send: (notice) => this.#send(notice),
    });
    this.#runner = new Runner({
      ...surroundings,
      host: this.#host,
      kinds: hello.kinds,
      slots: hello.capacity,
      isReady: () => this.#isOpen && this.#isWelcomed && !this.#isSilentFor(DOUBTFUL_HEARTBEATS),
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

  get sessionId(): string {
    return this.#session!.id;
  }

  /** Resolves with why the stream is to end, where that is not the worker's doing. */
  get over(): Promise<SpoolError> {
    return this.#over.promise;
  }

  /** The worker has shown that its stream lives. */
  heard(): void {
    this.#heardAt = performance.now();
    if (this.#isWelcomed || this.#session === null) return;
    this.#isWelcomed = true;
    this.#runner.onWaiting();
  }

  append(append: WorkerAppend): Promise<void> {
    return this.#take(this.#host.append(append));
  }

  finish(finish: WorkerFinish): Promise<void> {
    return this.#take(this.#host.finish(finish));
  }

  checked({ taskId, finding }: WorkerChecked): void {
    this.#host.checked(taskId, finding);
  }

  /** A message was not taken. */
  refuse(ref: AttemptRef, error: SpoolError): void {
    this.#host.refuse(ref, error);
  }

  /** The worker wants no more tasks. It is told when none is on its way to it any more. */
  async stopAssigning(): Promise<void> {
    await Promise.all([this.#runner.stopClaiming(), this.#session?.announceLeave()]);
    this.#send({ type: "drained" });
  }

  /** This server shuts down. */
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
   * The stream has ended.
   *
   * @param hasLeft the worker has said that it will not come back: what it owns still is anybody's
   */
  close({ hasLeft = false } = {}): Promise<void> {
    this.#closed ??= this.#close(hasLeft);
    return this.#closed;
  }

  async #open(): Promise<void> {
    const { surroundings, runners, hello, leaseMs } = this.#parts;
    const { session, token, isResumed } = await this.#openSession();
    this.#session = session;
    const owned = isResumed ? await readOwnedTasks(surroundings.db, session.id) : [];
    const held = new Set(hello.running.map(attemptKey));
    this.#heardAt = performance.now();
    this.#send({
      type: "welcome",
      sessionId: session.id,
      resumeToken: token,
      resumed: isResumed,
      held: owned
        .filter(({ task }) => held.has(attemptKey(task)))
        .map(({ task: { taskId, attempt }, appended }) => ({ taskId, attempt, appended })),
      heartbeatMs: this.#heartbeatMs,
      leaseMs,
    });
    for (const known of owned) if (held.has(attemptKey(known.task))) this.#runner.resume(known);
    for (const unknown of owned) if (!held.has(attemptKey(unknown.task))) await this.#runner.releaseTask(unknown);
    this.#runner.start(session);
    if (hello.isDraining) void this.stopAssigning();
    this.#runner.onTouched(); // Somebody may have asked to cancel one of them in the meantime.
    runners.add(this.#runner);
    this.#timer = setInterval(() => this.#beat(), this.#heartbeatMs);
  }

  async #openSession(): Promise<{ session: Session; token: string; isResumed: boolean }> {
    const { surroundings, hello, leaseMs } = this.#parts;
    const { db, namespace, observer, log } = surroundings;
    const parts = {
      db,
      namespace,
      log,
      leaseMs,
      host: hello.host,
      pid: hello.pid,
      capacity: hello.capacity,
      kinds: this.#runner.offers,
      mayRenew: () => !this.#isSilentFor(DOUBTFUL_HEARTBEATS),
      onLost: () => {
        observer.sessionLost("worker");
        void this.end(new SessionLost("the session has run out, or goes on by another stream"));
      },
    };
    const sessionId = sessionOf(hello.resumeToken);
    if (hello.resumeToken !== null && sessionId !== null) {
      const tokenDigest = digestOf(hello.resumeToken);
      const session = await Session.resumeWorker(sessionId, { ...parts, tokenDigest });
      if (session !== undefined) return { session, token: hello.resumeToken, isResumed: true };
    }
    const secret = randomBytes(32).toString("base64url");
    const session = await Session.openWorker({ ...parts, tokenDigest: digestOf(secret) });
    return { session, token: `${session.id}.${secret}`, isResumed: false };
  }

  async #close(hasLeft: boolean): Promise<void> {
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#parts.runners.remove(this.#runner);
    this.#host.close();
    await this.#runner.stop();
    if (hasLeft) {
      this.#host.releaseAll();
      await this.#runner.executor.whenIdle(ABANDON_MS);
    }
    await this.#runner.executor.abandon(ABANDON_MS);
    try {
      await (hasLeft ? this.#session?.close() : this.#session?.leave());
    } catch (error) {
      // Its row is left to run out.
      this.#parts.surroundings.log.warn({ err: error, session_id: this.#session?.id }, "a session could not be closed");
    }
    this.#parts.onClosed(this);
  }

  /** What it cannot be told by waits to be read: a worker that is read from no further is not silent. */
  async #take(taken: Promise<void>): Promise<void> {
    this.#taking++;
    try {
      await taken;
    } finally {
      this.#taking--;
      this.heard();
    }
  }

  #isSilentFor(heartbeats: number): boolean {
    return this.#taking === 0 && performance.now() - this.#heardAt > heartbeats * this.#heartbeatMs;
  }

  #beat(): void {
    this.#send({ type: "heartbeat" });
    // This process may have been held up itself: what has arrived meanwhile is to be read first.
    if (this.#isSilentFor(SILENT_HEARTBEATS)) setImmediate(() => this.#endIfSilent());
  }

  #endIfSilent(): void {
    if (this.#isSilentFor(SILENT_HEARTBEATS)) void this.end(new WorkerSilent(SILENT_HEARTBEATS * this.#heartbeatMs));
  }

  #send(notice: WorkerNotice): void {
    if (this.#isOpen) this.#parts.send(notice);
  }

  async #readAppended({ taskId, attempt }: AttemptRef): Promise<bigint> {
    const { db, namespace } = this.#parts.surroundings;
    return readAppended(db, { namespace, taskId, attempt });
  }
}

const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;

/** The session that a token is of; null: it is none that was given out. */
export function sessionOf(token: string | null): string | null {
  return TOKEN.exec(token ?? "")?.[1] ?? null;
}

/** The secret alone: a session's id is no secret. */
function digestOf(token: string): string {
  const secret = TOKEN.exec(token)?.[2] ?? token;
  return createHash("sha256").update(secret).digest("hex");
}
