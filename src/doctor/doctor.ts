import { untilAborted } from "../async/abort.ts";
import { DataDirInUse } from "../store/connection/data-dir-lock.ts";
import { databaseLocation, openDatabase } from "../store/database.ts";
import { hasEmbedded } from "../store/connection/embedded.ts";
import type { Store } from "../store/database.ts";
import { skipped, worst } from "./check.ts";
import type { Check, Finding } from "./check.ts";
import { examineStore } from "./check-store.ts";
import type { DoctorSettings } from "./doctor-context.ts";
import { Findings } from "./findings.ts";
import { askForChecks, lookAtHealth } from "./check-server.ts";
import type { ServerDoor } from "./check-server.ts";

/** So few that a database which is short of connections is not made shorter. */
const CONNECTIONS_MAX = 4;

export interface DoctorReport {
  /** The worst of what was found. */
  status: "ok" | "warn" | "fail";
  /** One of each name, in the order of CHECK_NAMES; then those of a newer server that this doctor does not know. */
  checks: Check[];
  /** The server that made the checks; null: this process. */
  checkedBy: string | null;
  tookMs: number;
}

/**
 * Checks whether a service is well. It only reads: what it sends is one NOTIFY, which servers leave unheard. The
 * checks are made on the configured database. Where no URL is configured, the server at the named address makes them,
 * and so does the server that has the data folder open. A check that fails keeps no other from being made, and all are
 * over within timeoutMs.
 *
 * @param settings those of the servers
 */
export async function examine({
  settings,
  door,
  timeoutMs,
}: {
  settings: DoctorSettings;
  door: ServerDoor;
  timeoutMs: number;
}): Promise<DoctorReport> {
  const startedAt = performance.now();
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), timeoutMs);
  const examination = new Examination({ settings, door, timeoutMs, signal: tooLate.signal });
  try {
    await examination.run();
  } finally {
    clearTimeout(timer);
  }
  const { checks, checkedBy } = examination;
  const status = worst(checks.map((check) => check.status));
  return { status, checks, checkedBy, tookMs: Math.round(performance.now() - startedAt) };
}

class Examination {
  readonly #settings: DoctorSettings;
  readonly #door: ServerDoor;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #findings: Findings;
  /** Made by a server, and not known here. */
  readonly #others: Check[] = [];
  checkedBy: string | null = null;

  constructor(parts: { settings: DoctorSettings; door: ServerDoor; timeoutMs: number; signal: AbortSignal }) {
    this.#settings = parts.settings;
    this.#door = parts.door;
    this.#timeoutMs = parts.timeoutMs;
    this.#signal = parts.signal;
    this.#findings = new Findings(parts);
  }

  /** All of them: what was not looked at has its reason. */
  get checks(): Check[] {
    return [...this.#findings.checks(), ...this.#others];
  }

  async run(): Promise<void> {
    const door = this.#door;
    const health = door.isNamed ? this.#lookAtHealth() : null;
    const isAsked = door.isNamed && this.#settings.databaseUrl === null;
    if (!isAsked || !(await this.#askServer())) await this.#examineDatabase({ isAsked });
    if (health === null && this.#findings.get("server") === undefined) {
      this.#findings.set(
        "server",
        skipped("no address was named", { todo: "--address or SPOOL_ADDRESS", section: "Spool doctor" }),
      );
    }
    await health;
  }

  #lookAtHealth(): Promise<void> {
    return this.#findings.look("server", () => lookAtHealth(this.#door, this.#signal));
  }

  async #examineDatabase({ isAsked }: { isAsked: boolean }): Promise<void> {
    const store = await this.#open({ isAsked });
    if (store === null) return;
    this.#findings.whyUnreached = "the database was not reached";
    const [findings, signal] = [this.#findings, this.#signal];
    await examineStore(store, { settings: this.#settings, findings, signal });
    // One that does not answer any more would hold up the report.
    await untilAborted(
      store.close().catch(() => {}),
      signal,
    );
  }

  /** @returns null: it could not be opened, and what was found is told */
  async #open({ isAsked }: { isAsked: boolean }): Promise<Store | null> {
    const location = databaseLocation(this.#settings);
    const { dataDir } = this.#settings;
    if (!("url" in location) && !hasEmbedded(dataDir)) {
      // The server that was asked has said more already.
      if (isAsked) return null;
      const todo = "start a server here, or name the database (SPOOL_DATABASE_URL) or the folder (SPOOL_DATA_DIR)";
      this.#findings.set("database", {
        status: "fail",
        found: `there is no database in ${dataDir}`,
        todo,
        section: "Settings",
      });
      return null;
    }
    const opening = openDatabase(
      "url" in location ? { ...location, connectionsMax: CONNECTIONS_MAX, mayBeUnusable: true } : location,
    );
    try {
      const store = await untilAborted(opening, this.#signal);
      if (store !== undefined) return store;
      void opening.then((late) => late.close()).catch(() => {});
      throw new Error("the time is up");
    } catch (error) {
      if (!(error instanceof DataDirInUse)) this.#findings.set("database", this.#findings.failure(error));
      else if (!isAsked) await Promise.all([this.#askServer(), this.#lookAtHealth()]);
      return null;
    }
  }

  /** Lets the server make the checks. @returns whether it has; else `database` says why not */
  async #askServer(): Promise<boolean> {
    const [findings, signal] = [this.#findings, this.#signal];
    let isMade = false;
    const ask = async (): Promise<Finding> => {
      const answer = await askForChecks(this.#door, { timeoutMs: this.#timeoutMs, signal });
      if (answer.checks === null) {
        findings.whyUnreached = "the server that was asked made no checks";
        return answer.finding;
      }
      isMade = true;
      this.checkedBy = answer.by;
      const own = new Map(answer.checks.map((check) => [check.name, check]));
      for (const { name } of findings.checks()) {
        const check = own.get(name);
        own.delete(name);
        if (name === "server" || name === "database") continue;
        findings.set(name, check ?? skipped("this server's version does not make this check"));
      }
      this.#others.push(...own.values());
      const database = answer.checks.find(({ name }) => name === "database");
      return database ?? skipped("this server's version does not make this check");
    };
    await findings.look("database", ask);
    return isMade;
  }
}
