import { Kysely, PGliteDialect, PostgresDialect } from "kysely";
import type { PostgresPool } from "kysely";
import { Dialer } from "./connection/dialer.ts";
import { ConnectionPool } from "./connection/pool.ts";
import type { PoolStats, PoolWatch } from "./connection/pool-metrics.ts";
import { PREPARE_EMBEDDED } from "./connection/session-check.ts";
import type { ServerRole } from "./connection/session-check.ts";
import { noErrors, translating } from "./connection/translating-driver.ts";
import type { ErrorCounts } from "./connection/translating-driver.ts";
import { lockDataDir } from "./connection/data-dir-lock.ts";
import { openPglite } from "./connection/embedded.ts";
import { ping } from "./connection/ping.ts";
import type { Database } from "./schema.ts";

const INT8 = 20;

/** The default for the most connections that a server opens. */
export const CONNECTIONS_MAX_DEFAULT = 16;

/** A Postgres server, or several. The first one that has the role is used. */
export interface ServerLocation {
  url: string;
  /** What the URL must lead to: a writable primary by default. */
  role?: ServerRole;
  connectionsMax?: number;
  /** Whether to open a read-only database, or one with another encoding than UTF8, for inspection. */
  mayBeUnusable?: boolean;
}

/** The place of the data: a Postgres server, or Postgres in this process on a folder (null: in memory). */
export type DatabaseLocation = ServerLocation | { dataDir: string | null };

/** Returns the location that a configuration names: the URL, else the data folder. */
export function databaseLocation({
  databaseUrl,
  dataDir,
}: {
  databaseUrl: string | null;
  dataDir: string | null;
}): DatabaseLocation {
  return databaseUrl === null ? { dataDir } : { url: databaseUrl };
}

/** An open database. */
export interface Store {
  readonly db: Kysely<Database>;
  /**
   * The same database, for statements that keep a promise or that other work waits for. These statements overtake other
   * waiting statements, and some connections are reserved for them. If they get no connection in time, they throw
   * StoreUnavailable, not Overloaded.
   */
  readonly priorityDb: Kysely<Database>;
  /** The URL of the server, for separate connections; null if Postgres runs in this process. */
  readonly url: string | null;
  /** Whether no other process can use this database. If so, sessions of earlier processes can be ended at once. */
  readonly exclusive: boolean;
  /** Resolves if the database answers and has its role: a primary takes writes. @throws StoreUnavailable */
  check(): Promise<void>;
  /** Returns the metrics of the store. */
  stats(): StoreStats;
  close(): Promise<void>;
}

/** Metrics of a store. */
export interface StoreStats {
  /** Metrics of the connections; null if Postgres runs in this process. */
  pool: PoolStats | null;
  /** Failed statements, and failed attempts to open a connection for a statement, since the start of the process. */
  errors: Readonly<ErrorCounts>;
}

const UNWATCHED: PoolWatch = { dropped() {}, exhausted() {} };

/**
 * Opens the database. The first statement connects to the server, so the server may be down until then. Every statement
 * that fails because the database cannot be reached throws StoreUnavailable.
 *
 * @throws DataDirInUse, InvalidDatabaseUrl
 */
export async function openDatabase(location: DatabaseLocation, watch = UNWATCHED): Promise<Store> {
  return "url" in location ? openServer(location, watch) : openEmbedded(location.dataDir);
}

function openServer(location: ServerLocation, watch: PoolWatch): Store {
  const { url, role = "primary", connectionsMax: max = CONNECTIONS_MAX_DEFAULT, mayBeUnusable = false } = location;
  const dialer = new Dialer(url, { applicationName: "spool", role, mayBeUnusable });
  const pool = new ConnectionPool({ dialer, max, watch, isChecked: !mayBeUnusable });
  const errors = noErrors();
  const open = (priority: boolean) => {
    // Closing one Kysely instance leaves the pool open. The store closes the pool itself.
    const lender = { connect: () => pool.connect({ priority }), end: () => Promise.resolve(), options: {} };
    const dialect = new PostgresDialect({ pool: lender as unknown as PostgresPool });
    return new Kysely<Database>({ dialect: translating(dialect, errors) });
  };
  const [db, priorityDb] = [open(false), open(true)];
  return {
    db,
    priorityDb,
    url,
    exclusive: false,
    check: () => pool.check(),
    stats: () => ({ pool: pool.stats(), errors }),
    async close() {
      await Promise.all([db.destroy(), priorityDb.destroy(), pool.end()]);
    },
  };
}

async function openEmbedded(dataDir: string | null): Promise<Store> {
  const lock = dataDir === null ? null : await lockDataDir(dataDir);
  try {
    const pglite = await openPglite(dataDir, { parsers: { [INT8]: BigInt } });
    await pglite.query(PREPARE_EMBEDDED);
    const errors = noErrors();
    const db = new Kysely<Database>({ dialect: translating(new PGliteDialect({ pglite }), errors) });
    return {
      db,
      priorityDb: db,
      url: null,
      exclusive: true,
      check: () => ping(db),
      stats: () => ({ pool: null, errors }),
      async close() {
        await db.destroy();
        await lock?.release();
      },
    };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}
