import type { Kysely, Transaction } from "kysely";
import { pause } from "../async/pause.ts";
import { readWithin } from "../store/connection/bounded-read.ts";
import type { RetentionSettings } from "../domain/retention.ts";
import type { Database } from "../store/schema.ts";
import { listSessions } from "../store/session-queries.ts";
import { readClock } from "../store/reports/server-health.ts";
import { LIST_SESSIONS_MAX } from "../domain/limits.ts";
import type { SessionSnapshot } from "./evaluate-sessions.ts";
import { RECHECK_MS, STATEMENT_MS_MAX } from "./thresholds.ts";

/** The settings of the service that the checks rely on. A server's configuration includes all of them. */
export interface DoctorSettings extends RetentionSettings {
  namespace: string;
  databaseUrl: string | null;
  /** The URL of a standby of the database; null or left out: there is none. */
  standbyUrl?: string | null;
  dataDir: string;
  leaseMs: number;
  cancelGraceMs: number;
  notify: boolean;
}

/** The database of a service and what the checks share: settings, time limit, sessions. */
export class DoctorContext {
  readonly settings: Omit<DoctorSettings, "databaseUrl" | "dataDir">;
  readonly db: Kysely<Database>;
  /** null: Postgres runs in this process. */
  readonly url: string | null;
  /** Fires at the deadline of all checks. */
  readonly signal: AbortSignal;
  /** The last read of all contexts that take turns with each other; null: they take none. */
  readonly #turns: { lastRead: Promise<unknown> } | null;
  #sessions: Promise<SessionSnapshot> | undefined;

  /**
   * @param takesTurns whether a read waits for the previous read
   * @param turnsWith another context, whose reads are the previous ones too
   */
  constructor({
    takesTurns = false,
    turnsWith,
    ...parts
  }: Pick<DoctorContext, "settings" | "db" | "url" | "signal"> & { takesTurns?: boolean; turnsWith?: DoctorContext }) {
    this.#turns = turnsWith ? turnsWith.#turns : takesTurns ? { lastRead: Promise.resolve() } : null;
    this.settings = parts.settings;
    this.db = parts.db;
    this.url = parts.url;
    this.signal = parts.signal;
  }

  /** Returns a context for the checks of another namespace. */
  of(namespace: string): DoctorContext {
    const { settings, db, url, signal } = this;
    return new DoctorContext({ settings: { ...settings, namespace }, db, url, signal, turnsWith: this });
  }

  get namespace(): string {
    return this.settings.namespace;
  }

  /** Runs a read-only transaction. Each statement is cancelled after STATEMENT_MS_MAX. */
  read<Result>(read: (trx: Transaction<Database>) => Promise<Result>): Promise<Result> {
    const turns = this.#turns;
    if (turns === null) return readWithin(this.db, STATEMENT_MS_MAX, read);
    const inTurn = turns.lastRead.then(() => {
      this.signal.throwIfAborted(); // After the deadline no check uses the result.
      return readWithin(this.db, STATEMENT_MS_MAX, read);
    });
    turns.lastRead = inTurn.catch(() => {});
    return inTurn;
  }

  /** Returns the sessions, read once for all checks. */
  sessions(): Promise<SessionSnapshot> {
    return (this.#sessions ??= this.sessionsNow());
  }

  /** Reads the sessions again. */
  sessionsNow(): Promise<SessionSnapshot> {
    return this.read(async (trx) => ({
      sessions: (await listSessions(trx, { namespace: this.namespace, limit: LIST_SESSIONS_MAX })).sessions,
      at: await readClock(trx),
    }));
  }

  /** Waits until every loop of a server has run at least once. */
  async pause(): Promise<void> {
    await pause(RECHECK_MS, this.signal);
  }
}
