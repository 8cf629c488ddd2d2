import { pause } from "../async/pause.ts";
import { within } from "../async/time-limit.ts";
import { unusableReason } from "./database-watch.ts";

/** What a server must have and be to be sent work. */
export interface ReadinessReport {
  ready: boolean;
  /** Whether the database answers now, and takes writes. */
  database: boolean;
  /** Why it does not; absent where it does. */
  reason?: string;
  /** Whether it has been found to have this program's schema. */
  schema: boolean;
  /** Whether this server has joined the others: it runs and follows tasks. */
  engine: boolean;
  /** Whether it is stopping. */
  draining: boolean;
}

/** A database that has not answered by then counts as one that cannot be reached. */
const PING_MS_MAX = 2_000;
/** Those who are told of changes hear of one after so long at the latest, and as long as the database takes to answer. */
const WATCH_EVERY_MS = 1_000;

/** Knows whether this server is ready. Who starts and stops it says so here. */
export class Readiness {
  schema = false;
  engine = false;
  draining = false;
  readonly #check: () => Promise<void>;
  #asked: Promise<string | null> | null = null;

  /** @param check rejects where the database cannot be used */
  constructor(check: () => Promise<void>) {
    this.#check = check;
  }

  /** However many ask at once, the database is asked once. */
  async report(): Promise<ReadinessReport> {
    this.#asked ??= this.#whyUnusable().finally(() => (this.#asked = null));
    const reason = await this.#asked;
    const { schema, engine, draining } = this;
    const database = reason === null;
    const ready = database && schema && engine && !draining;
    return { ready, database, ...(reason !== null && { reason }), schema, engine, draining };
  }

  /** Tells of every change, until the signal fires. @param ready what was told last */
  async watch(tell: (report: ReadinessReport) => void, { ready, signal }: { ready: boolean; signal: AbortSignal }) {
    for (let last = ready; ;) {
      await pause(WATCH_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      const report = await this.report();
      if (signal.aborted) return;
      if (report.ready !== last) tell(report);
      last = report.ready;
    }
  }

  async #whyUnusable(): Promise<string | null> {
    const checked = this.#check().then(() => null, unusableReason);
    const reason = await within(checked, PING_MS_MAX);
    return reason === undefined ? `the database did not answer within ${PING_MS_MAX} ms` : reason;
  }
}
