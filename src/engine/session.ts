import { hostname } from "node:os";
import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { v7 as uuidv7 } from "uuid";
import type { KindOffer } from "../domain/session.ts";
import type { Database } from "../store/schema.ts";
import { closeSession, countPeers, openSession, renewSession } from "../store/session-queries.ts";
import { Loop } from "./loop.ts";

/** A session is renewed this often within its lease. */
const RENEWALS = 4;

/**
 * This process as the owner of tasks: one row, renewed several times within its lease, however many tasks it owns.
 * When the row runs out any process may take the tasks; when it is gone, they have been taken, and the process goes on
 * under a new one.
 */
export class Session {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #kinds: readonly KindOffer[];
  readonly #capacity: number;
  readonly #leaseMs: number;
  readonly #log: Logger;
  readonly #onLost: () => void;
  readonly #loop: Loop;
  #id: string;
  #renewedAt = 0;
  /** When it was renewed again after it had run out. */
  #resumedAt = -Infinity;
  #peers = 0;

  private constructor(parts: SessionParts) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    this.#kinds = parts.kinds;
    this.#capacity = parts.capacity;
    this.#leaseMs = parts.leaseMs;
    this.#log = parts.log;
    this.#onLost = parts.onLost;
    this.#id = uuidv7();
    this.#loop = new Loop({
      name: "session",
      everyMs: parts.leaseMs / RENEWALS,
      log: parts.log,
      turn: () => this.#renew(),
    });
  }

  /** @throws StoreUnavailable */
  static async open(parts: SessionParts): Promise<Session> {
    const session = new Session(parts);
    await session.#open();
    session.#loop.start();
    return session;
  }

  /** What the tasks of this process carry as their lease. */
  get id(): string {
    return this.#id;
  }

  /** Whether it was renewed within its lease, by this process's clock: else others may think that it is dead. */
  get isFresh(): boolean {
    return performance.now() - this.#renewedAt < this.#leaseMs;
  }

  /**
   * Whether others that look dead are dead. After an outage every session has run out: each process that lives gets the
   * time to renew its own before any takes tasks from another.
   */
  get maySweep(): boolean {
    return this.isFresh && performance.now() - this.#resumedAt > this.#leaseMs / 2;
  }

  /** Whether other processes serve the namespace: as of the last renewal, or because one has shown itself since. */
  get hasPeers(): boolean {
    return this.#peers > 0;
  }

  onPeer(): void {
    this.#peers = Math.max(1, this.#peers);
  }

  /** Stops renewing and removes the row. Tasks that it owns still are anybody's from then on. */
  async close(): Promise<void> {
    await this.#loop.stop();
    await closeSession(this.#db, this.#id);
  }

  async #open(): Promise<void> {
    const askedAt = performance.now();
    await openSession(this.#db, {
      sessionId: this.#id,
      namespace: this.#namespace,
      host: hostname(),
      pid: process.pid,
      kinds: this.#kinds,
      capacity: this.#capacity,
      leaseMs: this.#leaseMs,
    });
    this.#renewedAt = askedAt;
    this.#peers = await countPeers(this.#db, { sessionId: this.#id, namespace: this.#namespace });
  }

  async #renew(): Promise<void> {
    const askedAt = performance.now();
    if (await renewSession(this.#db, { sessionId: this.#id, leaseMs: this.#leaseMs })) {
      if (!this.isFresh) this.#resumedAt = performance.now();
      this.#renewedAt = askedAt;
      this.#peers = await countPeers(this.#db, { sessionId: this.#id, namespace: this.#namespace });
      return;
    }
    this.#log.warn(
      { session_id: this.#id },
      "the session had run out and its tasks were taken: going on under a new one",
    );
    this.#id = uuidv7();
    this.#onLost();
    await this.#open();
  }
}

interface SessionParts {
  db: Kysely<Database>;
  namespace: string;
  /** What it runs, and how much of it at once. */
  kinds: readonly KindOffer[];
  capacity: number;
  leaseMs: number;
  log: Logger;
  /** Called when the tasks of this process have been taken from it. */
  onLost: () => void;
}
