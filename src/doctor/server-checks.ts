import { hostname } from "node:os";
import { CachedQuery } from "../async/cached-query.ts";
import type { Store } from "../store/database.ts";
import type { CheckReport } from "../rpc/services/admin-service.ts";
import { examineShards } from "./check-store.ts";
import type { OtherShard } from "./check-store.ts";
import type { DoctorSettings } from "./doctor-context.ts";
import { Findings } from "./findings.ts";

/** The time limit of all checks of a server. Less than the doctor's default timeout, so that the report arrives in time. */
const SERVER_CHECKS_MS_MAX = 15_000;
/** How long a report is cached, unless it took longer to make. */
export const REPORT_CACHE_MS = 1_000;

/**
 * Runs the checks of a server on its own store, for callers of AdminService. However many callers ask, one examination
 * runs at a time, its reads take turns, and its report is cached for REPORT_CACHE_MS, or for as long as it took if
 * that is longer. Checks of this server's own address are left out: the caller makes them.
 */
export class ServerChecks implements Disposable {
  readonly #store: Pick<Store, "db" | "url">;
  readonly #others: () => readonly OtherShard[];
  readonly #settings: DoctorSettings;
  readonly #stopped = new AbortController();
  readonly #report: CachedQuery<CheckReport>;

  /**
   * @param options.others returns the shards besides the first one
   * @param options.clock in ms, never set back
   */
  constructor(
    store: Pick<Store, "db" | "url">,
    settings: DoctorSettings,
    {
      others = () => [],
      clock = () => performance.now(),
    }: { others?: () => readonly OtherShard[]; clock?: () => number } = {},
  ) {
    this.#store = store;
    this.#others = others;
    this.#settings = settings;
    this.#report = new CachedQuery(() => this.#examine(), { maxAgeMs: REPORT_CACHE_MS, ageFactor: 1, clock });
  }

  run(): Promise<CheckReport> {
    return this.#report.read();
  }

  async #examine(): Promise<CheckReport> {
    const tooLate = new AbortController();
    const timer = setTimeout(() => tooLate.abort(), SERVER_CHECKS_MS_MAX);
    const signal = AbortSignal.any([tooLate.signal, this.#stopped.signal]);
    const findings = new Findings({ timeoutMs: SERVER_CHECKS_MS_MAX, signal });
    try {
      const others = () => Promise.resolve(this.#others());
      await examineShards(this.#store, { settings: this.#settings, findings, takesTurns: true, signal, others });
      const checks = findings.checks().filter(({ name }) => name !== "server");
      return {
        host: hostname(),
        pid: process.pid,
        checks: checks.map((check) => ({ todo: null, section: null, ...check })),
      };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the running examination. */
  [Symbol.dispose](): void {
    this.#stopped.abort();
  }
}
