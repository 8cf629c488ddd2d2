/** Runs SQL statements of kinds, on one connection or on any. */
export interface KindQueries {
  /**
   * Runs one SQL statement and returns its rows.
   *
   * @param values the values of $1, $2, …: an array becomes a Postgres array, and JSON is passed as text. In a row, a
   *   bigint column is a `bigint`, json and jsonb are parsed, and a timestamptz is a `Date`
   * @throws StoreUnavailable if the database is unavailable, else the error of the driver, with its SQLSTATE in `code`
   */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/**
 * The server's database, for the code of kinds: over the server's connections to Postgres, or embedded in the server's
 * process.
 */
export interface KindDatabase extends KindQueries {
  /**
   * Runs statements in one transaction: commits it when `work` resolves, and rolls it back when `work` rejects. The
   * statements of `work` go through its argument: an embedded Postgres has one connection, and the transaction holds it.
   */
  transaction<Result>(work: (queries: KindQueries) => Promise<Result>): Promise<Result>;
}

/** One migration of the tables of a package of kinds. A released migration never changes. */
export interface KindMigration {
  /** Unique in the package. */
  readonly name: string;
  /** Runs in the transaction that records the migration. */
  up(queries: KindQueries): Promise<void>;
}

/** The migrations of a package of kinds, in order. */
export interface KindMigrations {
  /** The name of the package. */
  readonly name: string;
  readonly migrations: readonly KindMigration[];
}
