import type { Kysely } from "kysely";
import type { Logger } from "pino";
import { untilAborted } from "../../async/abort.ts";
import { FreshRead } from "../../async/fresh-read.ts";
import { Loop } from "../../async/loop.ts";
import { within } from "../../async/time-limit.ts";
import { StoreUnavailable } from "../../domain/errors.ts";
import { openDatabase } from "../../store/database.ts";
import type { Store } from "../../store/database.ts";
import { sqlstateOf } from "../../store/errors.ts";
import type { Database } from "../../store/schema.ts";
import {
  committedOf,
  hiddenBelow,
  isReplayed,
  readEnd,
  readIdentity,
  readLagBytes,
  readPosition,
} from "../../store/standby/replay.ts";
import type { Position } from "../../store/standby/replay.ts";

/** How often the standby is probed: whether it answers, and how far it is behind. */
const PROBE_MS = 1_000;
/** The most connections to a standby. */
const CONNECTIONS_MAX = 8;
/** How many times the primary is asked whether it shows all that a read of the standby has shown. */
const AFTER_READS_MAX = 3;

/** How reads ended that a standby may serve. `behind` and `failed`: the primary served the read. */
export type StandbyOutcome = "standby" | "behind" | "failed";

/** Metrics of the reads of a standby. */
export interface StandbyStats {
  reads: Readonly<Record<StandbyOutcome, number>>;
  /** How many bytes of the log the standby was behind a moment ago; null: it does not answer. */
  lagBytes: number | null;
}

/** SQLSTATEs of a server that is shutting down, starting, or out of connections. */
const AWAY = /^(08|53|57P)/;

/**
 * Reads of a standby of a store, each as good as one of the primary: no older than its call, and nothing that the primary
 * does not show. A read that the standby cannot serve so returns undefined, and the caller reads the primary: if there is
 * no standby, if it is down, behind or promoted, or if it cancels the read.
 *
 * A background loop probes the standby. Calls use it only if the last probe succeeded, so a standby that is down delays
 * no call.
 */
export class StandbyReads {
  readonly #primary: Kysely<Database>;
  readonly #log: Logger;
  readonly #position: FreshRead<Position>;
  readonly #reads: Record<StandbyOutcome, number> = { standby: 0, behind: 0, failed: 0 };
  #opened: { url: string; store: Promise<Store>; loop: Loop } | null = null;
  /** The store of the standby, if the last probe succeeded. */
  #up: Store | null = null;
  #lagBytes: number | null = null;
  /** Whether the log says that the standby is away. */
  #isAwayLogged = false;

  constructor({ primary, log }: { primary: Kysely<Database>; log: Logger }) {
    this.#primary = primary;
    this.#log = log;
    this.#position = new FreshRead(() => readPosition(primary));
  }

  /** Reads from the standby of a URL from now on; null: from none. */
  use(url: string | null): void {
    if (url === this.url) return;
    void this.close();
    if (url === null) return;
    const log = this.#log;
    const dropped = (_: unknown, err: Error | null) =>
      log.warn({ ...(err && { err }) }, "standby: connections dropped");
    const store = openDatabase(
      { url, role: "standby", connectionsMax: CONNECTIONS_MAX },
      { dropped, exhausted: () => log.warn("standby: connections exhausted, the primary serves the reads") },
    );
    store.catch(() => {}); // Each probe reports it.
    const turn = async (signal: AbortSignal) => {
      await untilAborted(this.#probe(store), signal);
    };
    const loop = new Loop({ name: "standby", everyMs: PROBE_MS, log, turn });
    this.#opened = { url, store, loop };
    loop.kick();
    loop.start();
  }

  /** The URL of the standby; null: there is none. */
  get url(): string | null {
    return this.#opened?.url ?? null;
  }

  /** Whether there is a standby, and it answered the last probe. */
  get isUp(): boolean {
    return this.#up !== null;
  }

  /** null: there is no standby. */
  stats(): StandbyStats | null {
    if (this.#opened === null) return null;
    return { reads: { ...this.#reads }, lagBytes: this.isUp ? this.#lagBytes : null };
  }

  /**
   * Reads what never changes once it is as the caller knows it to be.
   *
   * @param read returns null if the standby does not show it so
   * @param limitMs after this time, the caller reads the primary
   */
  readUnchanging<Answer>(
    read: (db: Kysely<Database>) => Promise<Answer | null>,
    limitMs: number,
  ): Promise<Answer | undefined> {
    return this.#try(read, limitMs);
  }

  /**
   * Reads what changes. The answer shows all that the primary showed when the call began, and nothing that the primary
   * does not show when the call ends: neither this call nor the next one shows less than the caller has seen.
   *
   * @param limitMs after this time, the caller reads the primary
   */
  async readCurrent<Answer>(
    read: (db: Kysely<Database>) => Promise<Answer>,
    limitMs: number,
  ): Promise<Answer | undefined> {
    // An error of the primary is the caller's: without the primary, no read is known to be current.
    const before = this.isUp ? await this.#position.read() : null;
    return this.#try(
      (db) =>
        db.connection().execute(async (standby) => {
          if (before === null || !(await isReplayed(standby, before))) return null;
          const answer = await read(standby);
          return (await this.#isShown(standby, before)) ? answer : null;
        }),
      limitMs,
    );
  }

  /** Stops reading from a standby. Its connections are closed when the running reads have ended. */
  async close(): Promise<void> {
    const opened = this.#opened;
    [this.#opened, this.#up, this.#isAwayLogged] = [null, null, false];
    if (opened === null) return;
    await opened.loop.stop();
    const [store] = await Promise.allSettled([opened.store]);
    if (store.status === "fulfilled") await store.value.close();
  }

  /** Returns whether the primary shows all that the statements of a connection to the standby have shown. */
  async #isShown(standby: Kysely<Database>, before: Position): Promise<boolean> {
    const end = await readEnd(standby);
    let left: bigint[] | null = null;
    for (let reads = 0; reads < AFTER_READS_MAX; reads++) {
      const after = await this.#position.read();
      const hidden = after.timeline === before.timeline ? hiddenBelow(end, after) : null;
      if (hidden === null) return false;
      left = left === null ? hidden : hidden.filter((xid) => left!.includes(xid));
      // A commit is at the standby before the primary shows it, for as long as it waits for synchronous standbys.
      if (left.length > 0 && reads === 0) left = await committedOf(standby, left);
      if (left.length === 0) return true;
    }
    return false;
  }

  async #try<Answer>(
    read: (db: Kysely<Database>) => Promise<Answer | null>,
    limitMs: number,
  ): Promise<Answer | undefined> {
    if (this.#opened === null) return undefined;
    const up = this.#up;
    const outcome = (name: StandbyOutcome) => {
      this.#reads[name]++;
      return undefined;
    };
    if (up === null) return outcome("failed");
    try {
      // On a priority connection, so that a full pool is a reason to read the primary, and not the caller's overload.
      const answer = await within(read(up.priorityDb), limitMs);
      if (answer === undefined) {
        this.#lose(up);
        return outcome("failed");
      }
      if (answer === null) return outcome("behind");
      this.#reads.standby++;
      return answer;
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      if (!(error instanceof StoreUnavailable) && sqlstate === undefined) throw error;
      // A standby that answers with an error is not away: it cancels reads that block the replay of its log.
      if (sqlstate === undefined || AWAY.test(sqlstate)) this.#lose(up);
      return outcome("failed");
    }
  }

  /** Uses the standby no more until a probe succeeds. */
  #lose(store: Store): void {
    if (this.#up !== store) return;
    this.#up = null;
    this.#opened?.loop.kick();
  }

  /** Checks that the standby answers and is one of the primary. Never rejects. */
  async #probe(opening: Promise<Store>): Promise<void> {
    const isCurrent = () => this.#opened?.store === opening;
    try {
      const store = await opening;
      await store.check();
      const standby = store.priorityDb;
      const [here, there] = [await readIdentity(this.#primary), await readIdentity(standby)];
      if (here !== there) throw new StoreUnavailable(new Error("it is no standby of this database and schema"));
      const lagBytes = await readLagBytes(standby, await this.#position.read());
      if (!isCurrent()) return;
      this.#lagBytes = lagBytes;
      this.#up = store;
      if (this.#isAwayLogged) this.#log.info("standby: used again");
      this.#isAwayLogged = false;
    } catch (error) {
      if (!isCurrent()) return;
      this.#up = null;
      if (!this.#isAwayLogged) this.#log.warn({ err: error }, "standby: not used, the primary serves its reads");
      this.#isAwayLogged = true;
    }
  }
}
