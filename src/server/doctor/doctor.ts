import { aborted } from "../../engine/aborted.ts";
import { DataDirInUse } from "../../store/data-dir-lock.ts";
import { hasEmbedded, openDatabase } from "../../store/database.ts";
import type { Store } from "../../store/database.ts";
import { isStatementTimeout } from "../../store/errors.ts";
import { readClock } from "../../store/server-health.ts";
import { readConfiguration } from "../configuration.ts";
import type { Configuration } from "../configuration.ts";
import { databasePlace } from "../database-url.ts";
import { databaseLocation } from "../migrate.ts";
import { CHECK_NAMES, skipped, worst } from "./check.ts";
import type { Check, CheckName, Finding } from "./check.ts";
import { durationText } from "./figures.ts";
import { judgeClock, judgeRoundTrip } from "./judge-database.ts";
import { askForSessions, lookAtHealth } from "./look-at-server.ts";
import type { ServerDoor } from "./look-at-server.ts";
import { lookAtSchema, SERVER_LOOKS, TASK_LOOKS } from "./looks.ts";
import type { Look } from "./looks.ts";
import { Patient } from "./patient.ts";
import { STATEMENT_MS_MAX } from "./thresholds.ts";

/** So few that a database which is short of connections is not made shorter. */
const CONNECTIONS_MAX = 4;
/** How often the round trip is measured. */
const ROUND_TRIPS = 5;

export interface DoctorReport {
  /** The worst of what was found. */
  status: "ok" | "warn" | "fail";
  /** One of each name, in the order of CHECK_NAMES. */
  checks: Check[];
  tookMs: number;
}

/**
 * Looks whether a service is well. It reads and changes nothing: what it sends is one NOTIFY, which servers leave
 * unheard. A look that fails keeps no other from being taken, and all are over within timeoutMs.
 *
 * @param flags settings from the command line, as serve has them
 * @throws ConfigurationError
 */
export async function examine({
  flags,
  door,
  timeoutMs,
}: {
  flags: Record<string, string | undefined>;
  door: ServerDoor;
  timeoutMs: number;
}): Promise<DoctorReport> {
  const startedAt = performance.now();
  const configuration = readConfiguration({ flags });
  const tooLate = new AbortController();
  const timer = setTimeout(() => tooLate.abort(), timeoutMs);
  const examination = new Examination({ configuration, door, timeoutMs, signal: tooLate.signal });
  try {
    await examination.run();
  } finally {
    clearTimeout(timer);
  }
  const checks = examination.checks();
  const status = worst(checks.map((check) => check.status));
  return { status, checks, tookMs: Math.round(performance.now() - startedAt) };
}

class Examination {
  readonly #configuration: Configuration;
  readonly #door: ServerDoor;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #findings = new Map<CheckName, Finding>();
  /** Whether the database has answered. */
  #isReached = false;

  constructor(parts: { configuration: Configuration; door: ServerDoor; timeoutMs: number; signal: AbortSignal }) {
    this.#configuration = parts.configuration;
    this.#door = parts.door;
    this.#timeoutMs = parts.timeoutMs;
    this.#signal = parts.signal;
  }

  /** All of them: what was not looked at has its reason. */
  checks(): Check[] {
    const unseen = this.#isReached ? "the schema is not this program's, or not known" : "the database was not reached";
    return CHECK_NAMES.map((name) => ({ name, ...(this.#findings.get(name) ?? skipped(unseen)) }));
  }

  async run(): Promise<void> {
    const door = this.#door;
    const health = door.isNamed ? this.#look("server", () => lookAtHealth(door, this.#signal)) : null;
    const store = await this.#open();
    if (store !== null) {
      await this.#lookInto(store);
      // One that does not answer any more would hold up the report.
      await Promise.race([store.close().catch(() => {}), aborted(this.#signal)]);
    }
    if (health === null && !this.#findings.has("server")) {
      this.#findings.set(
        "server",
        skipped("no address was named", { todo: "--address or SPOOL_ADDRESS", section: "Spool doctor" }),
      );
    }
    await health;
  }

  /** @returns null: it could not be opened, and what was found is told */
  async #open(): Promise<Store | null> {
    const location = databaseLocation(this.#configuration);
    const { dataDir } = this.#configuration;
    if (!("url" in location) && !hasEmbedded(dataDir)) {
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
      const store = await Promise.race([opening, aborted(this.#signal)]);
      if (store !== undefined) return store;
      void opening.then((late) => late.close()).catch(() => {});
      throw new Error("the time is up");
    } catch (error) {
      if (error instanceof DataDirInUse) await this.#askServer(error.message);
      else this.#findings.set("database", this.#failure(error));
      return null;
    }
  }

  /** A server has the folder, and lets nobody else look: what can be seen is seen by its address. */
  async #askServer(found: string): Promise<void> {
    const door = this.#door;
    const advice = { todo: `${door.address} is asked instead`, section: "Spool doctor" } as const;
    this.#findings.set("database", skipped(`${found}, and closed to this one`, advice));
    const looks = [this.#look("sessions", () => askForSessions(door, this.#signal))];
    if (!door.isNamed) looks.push(this.#look("server", () => lookAtHealth(door, this.#signal)));
    await Promise.all(looks);
  }

  async #lookInto({ db, url }: Store): Promise<void> {
    const patient = new Patient({ settings: this.#configuration, db, url, signal: this.#signal });
    await this.#look("database", () => this.#reach(patient));
    if (!this.#isReached) return;
    // One that was reached may have gone before its clock was read.
    if (!this.#findings.has("clock")) this.#findings.set("clock", skipped("the database has stopped to answer"));
    const take = ({ name, look }: Look) => this.#look(name, () => look(patient));
    await Promise.all([
      ...SERVER_LOOKS.map(take),
      this.#look("schema", () => lookAtSchema(patient)).then(async () => {
        if (this.#findings.get("schema")?.status === "ok") await Promise.all(TASK_LOOKS.map(take));
      }),
    ]);
  }

  /** The way to the database and back; and by the shortest of them its clock. */
  async #reach({ db, url }: Patient): Promise<Finding> {
    await readClock(db); // Connects.
    this.#isReached = true;
    const trips: { tookMs: number; differenceMs: number }[] = [];
    for (let trip = 0; trip < ROUND_TRIPS; trip++) {
      const wallMs = Date.now();
      const sentAt = performance.now();
      const at = await readClock(db);
      const tookMs = performance.now() - sentAt;
      trips.push({ tookMs, differenceMs: at.getTime() - (wallMs + tookMs / 2) });
    }
    trips.sort((a, b) => a.tookMs - b.tookMs);
    const { tookMs, differenceMs } = trips[0]!;
    this.#findings.set("clock", judgeClock({ differenceMs, roundTripMs: tookMs }));
    const where = url === null ? `the embedded database in ${this.#configuration.dataDir}` : databasePlace(url);
    return judgeRoundTrip({ where, roundTripMs: trips[Math.floor(ROUND_TRIPS / 2)]!.tookMs });
  }

  /** Takes a look, and makes a finding of whatever comes of it. */
  async #look(name: CheckName, look: () => Promise<Finding>): Promise<void> {
    const signal = this.#signal;
    const tooLate = Promise.withResolvers<Finding>();
    const giveUp = () => tooLate.resolve(this.#failure(new Error("the time is up")));
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    const looked = look().catch((error: unknown) => this.#failure(error));
    this.#findings.set(name, await Promise.race([looked, tooLate.promise]));
    signal.removeEventListener("abort", giveUp);
  }

  #failure(error: unknown): Finding {
    const advice = {
      todo: "see what the database's server is at, or give it longer by --timeout",
      section: "Spool doctor",
    } as const;
    if (this.#signal.aborted) {
      return { status: "fail", found: `not known within ${durationText(this.#timeoutMs)}`, ...advice };
    }
    if (isStatementTimeout(error)) {
      return {
        status: "fail",
        found: `not known: a query took longer than ${durationText(STATEMENT_MS_MAX)}`,
        ...advice,
      };
    }
    const found = reasonOf(error);
    if (this.#isReached) {
      const todo = "see that this role may read it, and that the database is not going down";
      return { status: "fail", found: `not known: ${found}`, todo, section: "Spool doctor" };
    }
    const todo = "see that the server runs and lets this machine in, and that the URL names it";
    return { status: "fail", found, todo, section: "Settings" };
  }
}

/** What a driver says of its trouble; a socket that was tried by several addresses has no message, but a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return `${error.message}: ${reasonOf(error.cause)}`;
  return error.message || ("code" in error ? String(error.code) : error.name);
}
