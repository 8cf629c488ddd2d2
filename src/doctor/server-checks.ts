import { hostname } from "node:os";
import type { Store } from "../store/database.ts";
import type { CheckReport } from "../rpc/services/admin-service.ts";
import { examineStore } from "./check-store.ts";
import type { DoctorSettings } from "./doctor-context.ts";
import { Findings } from "./findings.ts";

/** What all checks of a server may take. Less than the doctor waits by default, so that a report arrives in time. */
const SERVER_CHECKS_MS_MAX = 15_000;
/** How long a report serves all who ask. */
export const REPORT_KEPT_MS = 1_000;

/**
 * Runs the checks of a server on its own store, for callers of AdminService. However many callers ask, one examination
 * runs at a time, its reads take turns, and its report is kept for REPORT_KEPT_MS, or for as long as it took if that is
 * longer. Checks of this server's own address are left out: the caller makes them.
 */
export class ServerChecks implements Disposable {
  readonly #store: Pick<Store, "db" | "url">;
  readonly #settings: DoctorSettings;
  readonly #clock: () => number;
  readonly #stopped = new AbortController();
  #report: Promise<CheckReport> | null = null;
  /** Infinity while the examination runs. */
  #keptUntilMs = 0;

  /** @param clock in ms, never set back */
  constructor(store: Pick<Store, "db" | "url">, settings: DoctorSettings, clock = () => performance.now()) {
    this.#store = store;
    this.#settings = settings;
    this.#clock = clock;
  }

  run(): Promise<CheckReport> {
    if (this.#report === null || this.#clock() >= this.#keptUntilMs) {
      this.#keptUntilMs = Infinity;
      this.#report = this.#examine();
    }
    return this.#report;
  }

  async #examine(): Promise<CheckReport> {
    const begunMs = this.#clock();
    const tooLate = new AbortController();
    const timer = setTimeout(() => tooLate.abort(), SERVER_CHECKS_MS_MAX);
    const signal = AbortSignal.any([tooLate.signal, this.#stopped.signal]);
    const findings = new Findings({ timeoutMs: SERVER_CHECKS_MS_MAX, signal });
    try {
      await examineStore(this.#store, { settings: this.#settings, findings, takesTurns: true, signal });
      const checks = findings.checks().filter(({ name }) => name !== "server");
      return {
        host: hostname(),
        pid: process.pid,
        checks: checks.map((check) => ({ todo: null, section: null, ...check })),
      };
    } finally {
      clearTimeout(timer);
      const nowMs = this.#clock();
      this.#keptUntilMs = nowMs + Math.max(REPORT_KEPT_MS, nowMs - begunMs);
    }
  }

  /** Ends the examination that runs. */
  [Symbol.dispose](): void {
    this.#stopped.abort();
  }
}
