import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { Kysely, PGliteDialect, PostgresDialect } from "kysely";
import type { DatabaseConnection, Dialect, Driver } from "kysely";
import pg from "pg";
import { storeErrorReason, translateStoreError } from "./errors.ts";
import type { StoreErrorReason } from "./errors.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import type { Database } from "./schema.ts";

const INT8 = 20;
/** A statement that opens with this comment is prepared once a connection, under its name. */
const NAMED_STATEMENT = /^\/\* (\w+) \*\//;
export const CONNECT_TIMEOUT_MS = 5_000;
/** A statement that has no answer by then is given up with its connection. Every one of them is far shorter. */
export const ANSWER_MS_MAX = 15_000;
/** But a migration takes as long as it takes. */
const SCHEMA_CHANGE = /^\s*(create|alter|drop)\b/i;
/**
 * A transaction that does nothing for so long is ended by the server: its process stands still, or is gone without a
 * word, and the rows that it has locked would keep every other process from ending its tasks.
 */
export const IDLE_IN_TRANSACTION_MS_MAX = 3_000;

/** What a server keeps open at the most, unless it is told otherwise. */
export const CONNECTIONS_MAX_DEFAULT = 16;

/** Where the data lives: a Postgres server, or Postgres in this process on a folder (null: in memory). */
export type DatabaseLocation = { url: string; connectionsMax?: number } | { dataDir: string | null };

export interface Store {
  readonly db: Kysely<Database>;
  /** Of the server, for connections of one's own; null where Postgres runs in this process. */
  readonly url: string | null;
  /** Whether no other process can be on this database: leftovers of earlier processes need not be waited for. */
  readonly exclusive: boolean;
  /** How it stands, for gauges. */
  figures(): StoreFigures;
  close(): Promise<void>;
}

export interface StoreFigures {
  /** Of the connections; null where Postgres runs in this process. */
  pool: { connections: number; idle: number; connectionsMax: number; waiting: number } | null;
  /** Statements, and connections that were to be opened for one, that have failed since the start. */
  errors: Readonly<ErrorCounts>;
}

type ErrorCounts = Record<StoreErrorReason, number>;

/**
 * Opens the database. A server is first reached by the first statement, so that one that is down now may come later.
 * Every statement that fails because the database cannot be reached throws StoreUnavailable.
 *
 * @throws DataDirInUse
 */
export async function openDatabase(location: DatabaseLocation): Promise<Store> {
  return "url" in location ? openServer(location) : openEmbedded(location.dataDir);
}

function openServer({
  url,
  connectionsMax = CONNECTIONS_MAX_DEFAULT,
}: {
  url: string;
  connectionsMax?: number;
}): Store {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax,
    Client: NamedClient as unknown as typeof pg.Client,
    types: BIGINT_TYPES,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
    keepAlive: true,
    application_name: "spool",
  });
  // An idle connection that breaks says so here; the next statement opens another.
  pool.on("error", () => {});
  const errors = noErrors();
  const db = new Kysely<Database>({ dialect: translating(new PostgresDialect({ pool }), errors) });
  const poolFigures = () => ({
    connections: pool.totalCount,
    idle: pool.idleCount,
    connectionsMax,
    waiting: pool.waitingCount,
  });
  return {
    db,
    url,
    exclusive: false,
    figures: () => ({ pool: poolFigures(), errors }),
    close: () => db.destroy(),
  };
}

/** Whether a database was ever made in a data folder: to open one without is to make it. */
export function hasEmbedded(dataDir: string): boolean {
  return existsSync(embeddedFiles(dataDir));
}

function embeddedFiles(dataDir: string): string {
  return join(dataDir, "postgres");
}

async function openEmbedded(dataDir: string | null): Promise<Store> {
  const lock = dataDir === null ? null : await lockDataDir(dataDir);
  try {
    const pglite = await PGlite.create({
      ...(dataDir === null ? {} : { dataDir: embeddedFiles(dataDir) }),
      parsers: { [INT8]: BigInt },
    });
    const errors = noErrors();
    const db = new Kysely<Database>({ dialect: translating(new PGliteDialect({ pglite }), errors) });
    return {
      db,
      url: null,
      exclusive: true,
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

/** int8 is bigint from column to wire; node-pg would give a string. */
const BIGINT_TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === INT8 ? BigInt : pg.types.getTypeParser(oid, format as "text")) as pg.CustomTypesConfig["getTypeParser"],
};

/**
 * Kysely names no statement, so nothing would be prepared: this names the hot ones by their leading comment. It also
 * gives up a connection on which a statement has had no answer for too long: a peer that vanished without a word would
 * hold its caller for as long as TCP hopes.
 */
class NamedClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    // A connection that breaks while it is lent out has failed its statement already. The pool listens only to idle
    // ones, and an error event that nobody hears would end the process.
    this.on("error", () => {});
  }

  // @ts-expect-error The overloads of query cannot be written in one signature; Kysely uses this one.
  override query(text: unknown, values?: unknown[], ...rest: unknown[]): unknown {
    const query = super.query as (...args: unknown[]) => unknown;
    if (typeof text !== "string") return query.call(this, text, values, ...rest);
    const name = NAMED_STATEMENT.exec(text)?.[1];
    const answer = query.call(this, name === undefined ? text : { name, text, values }, values, ...rest);
    if (answer instanceof Promise && !SCHEMA_CHANGE.test(text)) this.#expect(answer);
    return answer;
  }

  #expect(answer: Promise<unknown>): void {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    const silent = () => stream.destroy(new Error("Connection terminated: no answer in time"));
    const timer = setTimeout(silent, ANSWER_MS_MAX);
    const answered = () => clearTimeout(timer);
    answer.then(answered, answered);
  }
}

function noErrors(): ErrorCounts {
  return { unavailable: 0, conflict: 0, refused: 0 };
}

/** The same dialect, whose failures are named where they arise, and counted. */
function translating(dialect: Dialect, errors: ErrorCounts): Dialect {
  return {
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createDriver: () => new TranslatingDriver(dialect.createDriver(), errors),
  };
}

class TranslatingDriver implements Driver {
  readonly #driver: Driver;
  readonly #errors: ErrorCounts;
  /** Kysely's drivers know their connections by identity: each keeps its one translated twin. */
  readonly #twins = new WeakMap<DatabaseConnection, DatabaseConnection>();
  readonly #originals = new WeakMap<DatabaseConnection, DatabaseConnection>();

  constructor(driver: Driver, errors: ErrorCounts) {
    this.#driver = driver;
    this.#errors = errors;
  }

  init: Driver["init"] = () => this.#translated(this.#driver.init());
  destroy: Driver["destroy"] = () => this.#driver.destroy();
  beginTransaction: Driver["beginTransaction"] = (connection, settings) =>
    this.#translated(this.#driver.beginTransaction(this.#original(connection), settings));
  commitTransaction: Driver["commitTransaction"] = (connection) =>
    this.#translated(this.#driver.commitTransaction(this.#original(connection)));
  rollbackTransaction: Driver["rollbackTransaction"] = (connection) =>
    this.#translated(this.#driver.rollbackTransaction(this.#original(connection)));
  releaseConnection: Driver["releaseConnection"] = (connection) =>
    this.#driver.releaseConnection(this.#original(connection));

  async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await this.#translated(this.#driver.acquireConnection());
    let twin = this.#twins.get(connection);
    if (twin === undefined) {
      twin = {
        executeQuery: (...args) => this.#translated(connection.executeQuery(...args)),
        streamQuery: (...args) => connection.streamQuery(...args),
      };
      this.#twins.set(connection, twin);
      this.#originals.set(twin, connection);
    }
    return twin;
  }

  #original(twin: DatabaseConnection): DatabaseConnection {
    return this.#originals.get(twin) ?? twin;
  }

  async #translated<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const named = translateStoreError(error);
      this.#errors[storeErrorReason(named)]++;
      throw named;
    }
  }
}
