import { pause } from "../async/pause.ts";
import { within } from "../async/time-limit.ts";
import { unusableReason } from "./database-watch.ts";

/** The conditions under which a server accepts work. */
export interface ReadinessReport {
  ready: boolean;
  /** Whether the database answers now and accepts writes. */
  database: boolean;
  /** Why the database cannot be used; absent if it can. */
  reason?: string;
  /** Whether the database has this version's schema. */
  schema: boolean;
  /** Whether the engine runs and follows tasks. */
  engine: boolean;
  /** Whether the server is stopping. */
  draining: boolean;
}

/** After this time, a database that does not answer counts as unreachable. */
const PING_MS_MAX = 2_000;
/** How often the readiness is checked for changes. */
const WATCH_EVERY_MS = 1_000;

/** Tracks whether this server is ready. The code that starts and stops the server sets the fields. */
export class Readiness {
  schema = false;
  engine = false;
  draining = false;
  readonly #check: () => Promise<void>;
  #checking: Promise<string | null> | null = null;

  /** @param check rejects if the database cannot be used */
  constructor(check: () => Promise<void>) {
    this.#check = check;
  }

  /** Reports the readiness. Concurrent calls share one check of the database. */
  async report(): Promise<ReadinessReport> {
    this.#checking ??= this.#whyUnusable().finally(() => (this.#checking = null));
    const reason = await this.#checking;
    const { schema, engine, draining } = this;
    const database = reason === null;
    const ready = database && schema && engine && !draining;
    return { ready, database, ...(reason !== null && { reason }), schema, engine, draining };
  }

  /** Calls `onChange` for every change until the signal fires. @param ready the last known state */
  async watch(onChange: (report: ReadinessReport) => void, { ready, signal }: { ready: boolean; signal: AbortSignal }) {
    for (let last = ready; ;) {
      await pause(WATCH_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      const report = await this.report();
      if (signal.aborted) return;
      if (report.ready !== last) onChange(report);
      last = report.ready;
    }
  }

  async #whyUnusable(): Promise<string | null> {
    const checked = this.#check().then(() => null, unusableReason);
    const reason = await within(checked, PING_MS_MAX);
    return reason === undefined ? `the database did not answer within ${PING_MS_MAX} ms` : reason;
  }
}
