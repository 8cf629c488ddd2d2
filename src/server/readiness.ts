import { setTimeout } from "node:timers/promises";

/** What a server must have and be to be sent work. */
export interface ReadinessReport {
  ready: boolean;
  /** Whether the database answers now. */
  database: boolean;
  /** Whether it has been found to have this program's schema. */
  schema: boolean;
  /** Whether this server has joined the others: it runs and follows tasks. */
  engine: boolean;
  /** Whether it is stopping. */
  draining: boolean;
}

/** A database that has not answered by then counts as one that cannot be reached. */
const PING_MS_MAX = 2_000;

/** Knows whether this server is ready. Who starts and stops it says so here. */
export class Readiness {
  schema = false;
  engine = false;
  draining = false;
  readonly #ping: () => Promise<void>;
  #asked: Promise<boolean> | null = null;

  /** @param ping rejects where the database cannot be reached */
  constructor(ping: () => Promise<void>) {
    this.#ping = ping;
  }

  /** However many ask at once, the database is asked once. */
  async report(): Promise<ReadinessReport> {
    this.#asked ??= this.#isReachable().finally(() => (this.#asked = null));
    const database = await this.#asked;
    const { schema, engine, draining } = this;
    return { ready: database && schema && engine && !draining, database, schema, engine, draining };
  }

  async #isReachable(): Promise<boolean> {
    const tooLate = new AbortController();
    try {
      return await Promise.race([
        this.#ping().then(() => true),
        setTimeout(PING_MS_MAX, false, { signal: tooLate.signal }),
      ]);
    } catch {
      return false;
    } finally {
      tooLate.abort();
    }
  }
}
