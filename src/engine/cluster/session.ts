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
 * An owner of tasks: one row, renewed several times within its lease, however many tasks it owns. When the row runs out
 * any server may take the tasks; when it is gone, they have been taken.
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
  /** When it was renewed again after it had run out. */
  #resumedAt = -Infinity;
  #peers = 0;
  /** What its runner has found last. */
  #stalled: readonly StalledTask[] = [];

  private constructor({ db, log, mayRenew = () => true, onLost, ...row }: SessionParts) {
    this.#db = db;
    this.#row = row;
    this.#log = log;
    this.#mayRenew = mayRenew;
    this.#onLost = onLost;
    this.#loop = new Loop({ name: "session", everyMs: row.leaseMs / RENEWALS, log, turn: () => this.#renew() });
  }

  /** This process as one that serves: it goes on under a new session when its own is lost. @throws StoreUnavailable */
  static async open(parts: ServerParts): Promise<Session> {
    const session = new Session({ ...parts, host: hostname(), pid: process.pid, tokenDigest: null });
    await session.#open();
    session.#loop.start();
    return session;
  }

  /** A worker that is connected to this process: when its session is lost, that is over. @throws StoreUnavailable */
  static async openWorker(parts: WorkerParts): Promise<Session> {
    const session = new Session(parts);
    await session.#open();
    session.#loop.start();
    return session;
  }

  /** The same worker by another stream. @returns undefined: its session is gone @throws StoreUnavailable */
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

  /** What its tasks carry as their lease. */
  get id(): string {
    return this.#fence.sessionId;
  }

  /** Whether it was renewed within its lease, by this process's clock: else others may think that it is dead. */
  get isFresh(): boolean {
    return performance.now() - this.#renewedAt < this.#row.leaseMs;
  }

  /**
   * Whether others that look dead are dead. After an outage every session has run out: each process that lives gets the
   * time to renew its own before any takes tasks from another.
   */
  get maySweep(): boolean {
    return this.isFresh && performance.now() - this.#resumedAt > this.#row.leaseMs / 2;
  }

  /** Whether other servers serve the namespace: as of the last renewal, or because one has shown itself since. */
  get hasPeers(): boolean {
    return this.#peers > 0;
  }

  /** Whether it is there still, and has not gone to another stream since. @throws StoreUnavailable */
  isCurrent(): Promise<boolean> {
    return isCurrentSession(this.#db, this.#fence);
  }

  /** The tasks that it owns and that do not run: stored with the next renewal. */
  reportStalled(stalled: readonly StalledTask[]): void {
    this.#stalled = stalled;
  }

  onPeer(): void {
    this.#peers = Math.max(1, this.#peers);
  }

  /** Says that it is about to end: if it is killed now, that says nothing of its tasks. Best effort. */
  async announceLeave(): Promise<void> {
    await announceLeave(this.#db, this.#fence).catch((error: unknown) => {
      this.#log.warn({ err: error, session_id: this.id }, "a session could not say that it is about to end");
    });
  }

  /** Stops renewing and removes the row. Tasks that it owns still are anybody's from then on. */
  async close(): Promise<void> {
    await this.leave();
    await closeSession(this.#db, this.#fence);
  }

  /** Stops renewing: the worker may resume it elsewhere until its lease has run out. */
  leave(): Promise<void> {
    return this.#loop.stop();
  }

  async #open(): Promise<void> {
    const askedAt = performance.now();
    await openSession(this.#db, { ...this.#row, sessionId: this.id });
    this.#renewedAt = askedAt;
    await this.#lookForPeers();
  }

  async #renew(): Promise<void> {
    if (!this.#mayRenew()) return;
    const askedAt = performance.now();
    const { leaseMs } = this.#row;
    if (await renewSession(this.#db, { ...this.#fence, leaseMs, stalled: this.#stalled })) {
      if (!this.isFresh) this.#resumedAt = performance.now();
      this.#renewedAt = askedAt;
      return this.#lookForPeers();
    }
    if (this.#row.tokenDigest !== null) {
      this.#log.warn({ session_id: this.id }, "a worker's session has run out, or goes on by another stream");
      this.#renewedAt = -Infinity;
      return this.#onLost();
    }
    this.#log.warn(
      { session_id: this.id },
      "the session had run out and its tasks were taken: going on under a new one",
    );
    this.#fence = { sessionId: uuidv7(), connection: 1 };
    this.#onLost();
    await this.#open();
  }

  /** Only servers do: they tell each other what they write. */
  async #lookForPeers(): Promise<void> {
    const { tokenDigest, namespace } = this.#row;
    if (tokenDigest === null) this.#peers = await countPeers(this.#db, { sessionId: this.id, namespace });
  }
}

interface ServerParts extends Pick<NewSession, "namespace" | "kinds" | "capacity" | "leaseMs"> {
  db: Kysely<Database>;
  log: Logger;
  /** Called when its tasks have been taken from it. */
  onLost: () => void;
}

interface WorkerParts extends ServerParts, Pick<NewSession, "host" | "pid"> {
  tokenDigest: string;
  /** Whether the worker was heard of since it was last asked. */
  mayRenew: () => boolean;
}

interface SessionParts extends ServerParts, Pick<NewSession, "host" | "pid" | "tokenDigest"> {
  mayRenew?: () => boolean;
}
