import type { Kysely, Transaction } from "kysely";
import { pause } from "../async/pause.ts";
import { readWithin } from "../store/connection/bounded-read.ts";
import type { Database } from "../store/schema.ts";
import { listSessions } from "../store/session-queries.ts";
import { readClock } from "../store/reports/server-health.ts";
import { LIST_SESSIONS_MAX } from "../domain/limits.ts";
import type { SeenSessions } from "./evaluate-sessions.ts";
import { LOOK_AGAIN_MS, STATEMENT_MS_MAX } from "./thresholds.ts";

/** The settings of the service that the checks rely on. A server's configuration has them all. */
export interface DoctorSettings {
  namespace: string;
  databaseUrl: string | null;
  dataDir: string;
  leaseMs: number;
  cancelGraceMs: number;
  notify: boolean;
}

/** A service whose database was reached, to be looked at. */
export class Patient {
  readonly settings: Omit<DoctorSettings, "databaseUrl" | "dataDir">;
  readonly db: Kysely<Database>;
  /** null: Postgres in this process. */
  readonly url: string | null;
  /** Fires when the time for all of it is up. */
  readonly signal: AbortSignal;
  readonly #takesTurns: boolean;
  #lastRead: Promise<unknown> = Promise.resolve();
  #sessions: Promise<SeenSessions> | undefined;

  /** @param takesTurns whether a read waits for the one before */
  constructor({
    takesTurns = false,
    ...parts
  }: Pick<Patient, "settings" | "db" | "url" | "signal"> & { takesTurns?: boolean }) {
    this.#takesTurns = takesTurns;
    this.settings = parts.settings;
    this.db = parts.db;
    this.url = parts.url;
    this.signal = parts.signal;
  }

  get namespace(): string {
    return this.settings.namespace;
  }

  /** Reads, and writes nothing; a statement that takes too long is given up. */
  read<Result>(read: (trx: Transaction<Database>) => Promise<Result>): Promise<Result> {
    if (!this.#takesTurns) return readWithin(this.db, STATEMENT_MS_MAX, read);
    const inTurn = this.#lastRead.then(() => {
      this.signal.throwIfAborted(); // What still waits when the time is up would be read for nobody.
      return readWithin(this.db, STATEMENT_MS_MAX, read);
    });
    this.#lastRead = inTurn.catch(() => {});
    return inTurn;
  }

  /** The sessions, read once for all who ask. */
  sessions(): Promise<SeenSessions> {
    return (this.#sessions ??= this.sessionsNow());
  }

  sessionsNow(): Promise<SeenSessions> {
    return this.read(async (trx) => ({
      sessions: await listSessions(trx, { namespace: this.namespace, limit: LIST_SESSIONS_MAX }),
      at: await readClock(trx),
    }));
  }

  /** Long enough for every loop of a server to have had its turn. */
  async pause(): Promise<void> {
    await pause(LOOK_AGAIN_MS, this.signal);
  }
}
