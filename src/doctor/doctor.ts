import { untilAborted } from "../async/abort.ts";
import { readShards } from "../store/access/shards.ts";
import { readWithin } from "../store/connection/bounded-read.ts";
import { DataDirInUse } from "../store/connection/data-dir-lock.ts";
import { databaseLocation, openDatabase } from "../store/database.ts";
import { hasEmbedded } from "../store/connection/embedded.ts";
import type { Store } from "../store/database.ts";
import { skipped, worst } from "./check.ts";
import type { Check, Finding } from "./check.ts";
import { examineShards } from "./check-store.ts";
import type { DoctorSettings } from "./doctor-context.ts";
import { Findings } from "./findings.ts";
import { requestChecks, checkHealth } from "./check-server.ts";
import { STATEMENT_MS_MAX } from "./thresholds.ts";
import type { ServerEndpoint } from "./check-server.ts";

/** Kept low: the database may be short of connections. */
const CONNECTIONS_MAX = 4;

export interface DoctorReport {
  /** The worst status of the checks. */
  status: "ok" | "warn" | "fail";
  /** One check for each name, in the order of CHECK_NAMES; then checks of a newer server that this doctor does not know. */
  checks: Check[];
  /** The server that made the checks; null: this process made them. */
  checkedBy: string | null;
  tookMs: number;
}

/**
 * Checks whether a service is healthy. Writes nothing; sends one NOTIFY, which servers ignore. The checks run on the
 * configured database. Without a database URL, the server at the configured address makes the checks. So does the
 * server that holds the data folder. Each check is made whether or not others fail. All end within timeoutMs.
 *
 * @param settings the settings of the servers
 */
export async function runDoctor({
  settings,
  endpoint,
  timeoutMs,
}: {
  settings: DoctorSettings;
  endpoint: ServerEndpoint;
  timeoutMs: number;
}): Promise<DoctorReport> {
  const startedAt = performance.now();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  const examination = new Examination({ settings, endpoint, timeoutMs, signal: deadline.signal });
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
  readonly #endpoint: ServerEndpoint;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #findings: Findings;
  /** Checks that a newer server made and this doctor does not know. */
  readonly #unknownChecks: Check[] = [];
  checkedBy: string | null = null;

  constructor(parts: { settings: DoctorSettings; endpoint: ServerEndpoint; timeoutMs: number; signal: AbortSignal }) {
    this.#settings = parts.settings;
    this.#endpoint = parts.endpoint;
    this.#timeoutMs = parts.timeoutMs;
    this.#signal = parts.signal;
    this.#findings = new Findings(parts);
  }

  /** All checks. A check that was not made says why. */
  get checks(): Check[] {
    return [...this.#findings.checks(), ...this.#unknownChecks];
  }

  async run(): Promise<void> {
    const endpoint = this.#endpoint;
    const health = endpoint.isNamed ? this.#checkHealth() : null;
    const isServerAsked = endpoint.isNamed && this.#settings.databaseUrl === null;
    if (!isServerAsked || !(await this.#requestChecks())) await this.#examineDatabase({ isServerAsked });
    if (health === null && this.#findings.get("server") === undefined) {
      this.#findings.set(
        "server",
        skipped("no address configured", { todo: "set --address or SPOOL_ADDRESS", section: "Spool doctor" }),
      );
    }
    await health;
  }

  #checkHealth(): Promise<void> {
    return this.#findings.record("server", () => checkHealth(this.#endpoint, this.#signal));
  }

  async #examineDatabase({ isServerAsked }: { isServerAsked: boolean }): Promise<void> {
    const store = await this.#open({ isServerAsked });
    if (store === null) return;
    this.#findings.whyUnreached = "the database was not reached";
    const [findings, signal] = [this.#findings, this.#signal];
    const opened: Store[] = [store];
    const others = async () => {
      const entries = await readWithin(store.db, STATEMENT_MS_MAX, readShards);
      return Promise.all(
        entries.map(async ({ name, url, standbyUrl }) => {
          const ofShard = await openDatabase({ url, connectionsMax: CONNECTIONS_MAX, mayBeUnusable: true });
          opened.push(ofShard);
          return { name, store: ofShard, standbyUrl };
        }),
      );
    };
    await examineShards(store, { settings: this.#settings, findings, signal, others });
    // A database that stopped answering must not delay the report.
    await untilAborted(Promise.allSettled(opened.map((each) => each.close())), signal);
  }

  /** Opens the database. @returns null if that failed; the finding is recorded then */
  async #open({ isServerAsked }: { isServerAsked: boolean }): Promise<Store | null> {
    const location = databaseLocation(this.#settings);
    const { dataDir } = this.#settings;
    if (!("url" in location) && !hasEmbedded(dataDir)) {
      // The finding of the request to the server says more.
      if (isServerAsked) return null;
      const todo = "set SPOOL_DATABASE_URL or SPOOL_DATA_DIR, or start a server here";
      this.#findings.set("database", {
        status: "fail",
        found: `no database in ${dataDir}`,
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
      throw new Error("deadline exceeded");
    } catch (error) {
      if (!(error instanceof DataDirInUse)) this.#findings.set("database", this.#findings.failure(error));
      else if (!isServerAsked) await Promise.all([this.#requestChecks(), this.#checkHealth()]);
      return null;
    }
  }

  /** Requests the checks from the server. @returns whether it made them; if not, the finding `database` says why */
  async #requestChecks(): Promise<boolean> {
    const [findings, signal] = [this.#findings, this.#signal];
    let isMade = false;
    const request = async (): Promise<Finding> => {
      const answer = await requestChecks(this.#endpoint, { timeoutMs: this.#timeoutMs, signal });
      if (answer.checks === null) {
        findings.whyUnreached = "the server made no checks";
        return answer.finding;
      }
      isMade = true;
      this.checkedBy = answer.by;
      const byName = new Map(answer.checks.map((check) => [check.name, check]));
      for (const { name } of findings.checks()) {
        const check = byName.get(name);
        byName.delete(name);
        if (name === "server" || name === "database") continue;
        findings.set(name, check ?? skipped("this server's version does not make this check"));
      }
      this.#unknownChecks.push(...byName.values());
      const database = answer.checks.find(({ name }) => name === "database");
      return database ?? skipped("this server's version does not make this check");
    };
    await findings.record("database", request);
    return isMade;
  }
}
