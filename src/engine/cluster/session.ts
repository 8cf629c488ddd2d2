import { hostname } from "node:os";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { v7 as uuidv7 } from "uuid";
import type { StalledTask } from "../../domain/session.ts";
import type { Database } from "../../store/schema.ts";
import {
  announceLeave,
  closeSession,
  countPeers,
  isCurrentSession,
  openSession,
  renewSession,
  takeSession,
} from "../../store/session-queries.ts";
import type { NewSession, SessionFence } from "../../store/session-queries.ts";
import { Loop } from "../../async/loop.ts";

/** A session is renewed this often within its lease. */
export const RENEWALS = 5;

/**
 * The owner of tasks: one row in the database, renewed several times within its lease, however many tasks it owns.
 * After the lease expires, any server may take the tasks. When the row is gone, the tasks have been taken.
 */
export class Session {
  readonly #db: Kysely<Database>;
  readonly #row: Omit<NewSession, "sessionId">;
  readonly #log: Logger;
  readonly #mayRenew: () => boolean;
  readonly #onLost: () => void;
  readonly #loop: Loop;
  #fence: SessionFence = { sessionId: uuidv7(), connection: 1 };
  #renewedAt = 0;
  /** When the session was renewed after its lease had expired, by performance.now(). */
  #resumedAt = -Infinity;
  #peers = 0;
  /** The stalled tasks that its runner reported last. */
  #stalled: readonly StalledTask[] = [];

  private constructor({ db, log, mayRenew = () => true, onLost, ...row }: SessionParts) {
    this.#db = db;
    this.#row = row;
    this.#log = log;
    this.#mayRenew = mayRenew;
    this.#onLost = onLost;
    this.#loop = new Loop({ name: "session", everyMs: row.leaseMs / RENEWALS, log, turn: () => this.#renew() });
  }

  /** Opens the session of this server. If it is lost, the server continues under a new one. @throws StoreUnavailable */
  static async open(parts: ServerParts): Promise<Session> {
    const session = new Session({ ...parts, host: hostname(), pid: process.pid, tokenDigest: null });
    await session.#open();
    session.#loop.start();
    return session;
  }

  /** Opens the session of a connected worker. If it is lost, the connection ends. @throws StoreUnavailable */
  static async openWorker(parts: WorkerParts): Promise<Session> {
    const session = new Session(parts);
    await session.#open();
    session.#loop.start();
    return session;
  }

  /** Resumes a worker's session on a new stream. @returns undefined if the session is gone @throws StoreUnavailable */
  static async resumeWorker(sessionId: string, parts: WorkerParts): Promise<Session | undefined> {
    const session = new Session(parts);
    const askedAt = performance.now();
    const connection = await takeSession(parts.db, { ...session.#row, tokenDigest: parts.tokenDigest, sessionId });
    if (connection === undefined) return undefined;
    session.#fence = { sessionId, connection };
    session.#renewedAt = askedAt;
    session.#loop.start();
    return session;
  }

  /** Returns the session's id, which its tasks hold as their lease. */
  get id(): string {
    return this.#fence.sessionId;
  }

  /** Whether the session was renewed within its lease, by this process's clock. If not, it may count as dead. */
  get isFresh(): boolean {
    return performance.now() - this.#renewedAt < this.#row.leaseMs;
  }

  /**
   * Whether the processes of expired sessions are dead. After an outage every lease has expired. Live processes get
   * half a lease to renew their sessions before any server takes their tasks.
   */
  get maySweep(): boolean {
    return this.isFresh && performance.now() - this.#resumedAt > this.#row.leaseMs / 2;
  }

  /** Whether other servers serve the namespace, as of the last renewal or of a wakeup since then. */
  get hasPeers(): boolean {
    return this.#peers > 0;
  }

  /** Whether the session still exists and no other stream has resumed it. @throws StoreUnavailable */
  isCurrent(): Promise<boolean> {
    return isCurrentSession(this.#db, this.#fence);
  }

  /** Sets the tasks that the session owns and that do not run. The next renewal stores them. */
  reportStalled(stalled: readonly StalledTask[]): void {
    this.#stalled = stalled;
  }

  /** Called when a wakeup of another server arrives. */
  onPeer(): void {
    this.#peers = Math.max(1, this.#peers);
  }

  /** Stores that the process is about to end. If it is killed after that, its tasks are not suspected. Best effort. */
  async announceLeave(): Promise<void> {
    await announceLeave(this.#db, this.#fence).catch((error: unknown) => {
      this.#log.warn({ err: error, session_id: this.id }, "session: leave not announced");
    });
  }

  /** Stops renewing and removes the row. Any server may then take the tasks that the session still owns. */
  async close(): Promise<void> {
    await this.stopRenewing();
    await closeSession(this.#db, this.#fence);
  }

  /** Stops renewing. A worker may resume its session on another stream until the lease expires. */
  stopRenewing(): Promise<void> {
    return this.#loop.stop();
  }

  async #open(): Promise<void> {
    const askedAt = performance.now();
    await openSession(this.#db, { ...this.#row, sessionId: this.id });
    this.#renewedAt = askedAt;
    await this.#countPeers();
  }

  async #renew(): Promise<void> {
    if (!this.#mayRenew()) return;
    const askedAt = performance.now();
    const { leaseMs } = this.#row;
    if (await renewSession(this.#db, { ...this.#fence, leaseMs, stalled: this.#stalled })) {
      if (!this.isFresh) this.#resumedAt = performance.now();
      this.#renewedAt = askedAt;
      return this.#countPeers();
    }
    if (this.#row.tokenDigest !== null) {
      this.#log.warn({ session_id: this.id }, "session: worker session expired, or resumed on another stream");
      this.#renewedAt = -Infinity;
      return this.#onLost();
    }
    this.#log.warn({ session_id: this.id }, "session: expired and its tasks taken, continuing under a new session");
    this.#fence = { sessionId: uuidv7(), connection: 1 };
    this.#onLost();
    await this.#open();
  }

  /** Counts the other servers. A worker's session needs no peers: only servers notify each other of commits. */
  async #countPeers(): Promise<void> {
    const { tokenDigest, namespace } = this.#row;
    if (tokenDigest === null) this.#peers = await countPeers(this.#db, { sessionId: this.id, namespace });
  }
}

interface ServerParts extends Pick<NewSession, "namespace" | "kinds" | "capacity" | "leaseMs"> {
  db: Kysely<Database>;
  log: Logger;
  /** Called when the session is lost: its tasks were taken, or another stream has resumed it. */
  onLost: () => void;
}

interface WorkerParts extends ServerParts, Pick<NewSession, "host" | "pid"> {
  tokenDigest: string;
  /** Whether the worker has sent something recently enough to renew its session. */
  mayRenew: () => boolean;
}

interface SessionParts extends ServerParts, Pick<NewSession, "host" | "pid" | "tokenDigest"> {
  mayRenew?: () => boolean;
}
