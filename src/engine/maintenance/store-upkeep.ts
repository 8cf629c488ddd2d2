import type { Logger } from "pino";
import type { Store } from "../../store/database.ts";
import { expireServerSessions } from "../../store/session-queries.ts";
import { EmbeddedVacuum } from "./embedded-vacuum.ts";

/** What a process does once for a store that no other process can use, however many namespaces it serves. */
export class StoreUpkeep {
  readonly #store: Store;
  readonly #vacuum: EmbeddedVacuum | null;
  #begun: Promise<void> | null = null;

  constructor({ store, log }: { store: Store; log: Logger }) {
    this.#store = store;
    this.#vacuum = store.exclusive ? new EmbeddedVacuum({ db: store.priorityDb, log }) : null;
  }

  /** Call before a session is opened. Idempotent. @throws StoreUnavailable */
  begin(): Promise<void> {
    this.#begun ??= this.#begin().catch((error: unknown) => {
      this.#begun = null;
      throw error;
    });
    return this.#begun;
  }

  async stop(): Promise<void> {
    await this.#vacuum?.stop();
  }

  async #begin(): Promise<void> {
    // No other process can have this database open, so the tasks of earlier processes need not wait for lease expiry.
    if (this.#store.exclusive) await expireServerSessions(this.#store.priorityDb);
    this.#vacuum?.start();
  }
}
