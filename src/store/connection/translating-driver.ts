import type { DatabaseConnection, Dialect, Driver } from "kysely";
import { SpoolError } from "../../domain/errors.ts";
import { storeErrorReason, translateStoreError } from "../errors.ts";
import type { StoreErrorReason } from "../errors.ts";

/** Failed statements and connections, by reason. */
export type ErrorCounts = Record<StoreErrorReason, number>;

export function noErrors(): ErrorCounts {
  return { unavailable: 0, conflict: 0, refused: 0 };
}

/** Wraps a dialect. Its errors are translated by `translateStoreError`, and counted in `errors`. */
export function translating(dialect: Dialect, errors: ErrorCounts): Dialect {
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
  /** Kysely's drivers identify connections by reference, so each connection has one translated twin. */
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
      // The pool translates its own failures. Overloaded, for a busy pool, is not an error of the database.
      const named = error instanceof SpoolError ? error : translateStoreError(error);
      if (!(named instanceof SpoolError) || named.reason === "STORE_UNAVAILABLE")
        this.#errors[storeErrorReason(named)]++;
      throw named;
    }
  }
}
