import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { Loop } from "../../async/loop.ts";
import type { Database } from "../../store/schema.ts";
import { vacuumNext } from "../../store/vacuum.ts";

const CHECK_MS = 30_000;

/**
 * Vacuums the embedded database, one table at a time: it has no autovacuum. Without a vacuum, the space of removed and
 * packed events would never be used again.
 */
export class EmbeddedVacuum {
  readonly #loop: Loop;

  constructor({ db, log, everyMs = CHECK_MS }: { db: Kysely<Database>; log: Logger; everyMs?: number }) {
    const turn = async () => {
      const table = await vacuumNext(db);
      if (table !== null) log.debug({ table }, "vacuum: table vacuumed");
    };
    this.#loop = new Loop({ name: "embedded-vacuum", everyMs, log, turn });
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }
}
