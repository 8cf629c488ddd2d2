import { Kysely, PGliteDialect, PostgresDialect } from "kysely";
import type { PostgresPool } from "kysely";
import { Dialer } from "./connection/dialer.ts";
import { ConnectionPool } from "./connection/pool.ts";
import type { PoolFigures, PoolWatch } from "./connection/pool-metrics.ts";
import { PREPARE_EMBEDDED } from "./connection/session-check.ts";
import { noErrors, translating } from "./connection/translating-driver.ts";
import type { ErrorCounts } from "./connection/translating-driver.ts";
import { lockDataDir } from "./connection/data-dir-lock.ts";
import { openPglite } from "./connection/embedded.ts";
import { ping } from "./connection/ping.ts";
import type { Database } from "./schema.ts";

const INT8 = 20;

/** What a server keeps open at the most, unless it is told otherwise. */
export const CONNECTIONS_MAX_DEFAULT = 16;

/** A Postgres server, or several of which the first that is a writable primary is taken. */
export interface ServerLocation {
  url: string;
  connectionsMax?: number;
  /** Whether a database that takes no writes, or has another encoding, is opened as well, for inspection. */
  mayBeUnusable?: boolean;
}

/** Where the data lives: a Postgres server, or Postgres in this process on a folder (null: in memory). */
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

export interface Store {
  readonly db: Kysely<Database>;
  /**
   * The same database, for statements that keep promises or that others wait for: they pass the others that wait for a
   * connection, and some connections are kept for them. Where none can be had in time they throw StoreUnavailable, not
   * Overloaded.
   */
  readonly priorityDb: Kysely<Database>;
  /** Of the server, for connections of one's own; null where Postgres runs in this process. */
  readonly url: string | null;
  /** Whether no other process can be on this database: leftovers of earlier processes need not be waited for. */
  readonly exclusive: boolean;
  /** Resolves when the database has answered, and takes writes. @throws StoreUnavailable */
  check(): Promise<void>;
  /** How it stands, for gauges. */
  figures(): StoreFigures;
  close(): Promise<void>;
}

export interface StoreFigures {
  /** Of the connections; null where Postgres runs in this process. */
  pool: PoolFigures | null;
  /** Statements, and connections that were to be opened for one, that have failed since the start. */
  errors: Readonly<ErrorCounts>;
}

const UNWATCHED: PoolWatch = { dropped() {}, exhausted() {} };

/**
 * Opens the database. A server is first reached by the first statement, so that one that is down now may come later.
 * Every statement that fails because the database cannot be reached throws StoreUnavailable.
 *
 * @throws DataDirInUse, InvalidDatabaseUrl
 */
export async function openDatabase(location: DatabaseLocation, watch = UNWATCHED): Promise<Store> {
  return "url" in location ? openServer(location, watch) : openEmbedded(location.dataDir);
}

function openServer(location: ServerLocation, watch: PoolWatch): Store {
  const { url, connectionsMax: max = CONNECTIONS_MAX_DEFAULT, mayBeUnusable = false } = location;
  const dialer = new Dialer(url, { applicationName: "spool", mayBeUnusable });
  const pool = new ConnectionPool({ dialer, max, watch, isChecked: !mayBeUnusable });
  const errors = noErrors();
  const open = (priority: boolean) => {
    // Each of the two is closed by itself, and the pool with the store.
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
    figures: () => ({ pool: pool.figures(), errors }),
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
      figures: () => ({ pool: null, errors }),
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
