/** What a failed statement means for its connection. */
export type FailureMeaning =
  /** Nothing: the statement is at fault. */
  | "content"
  /** The connection leads to a server that takes no writes, or to a dropped database. */
  | "left"
  /** The connection is unusable. Other connections may be usable. */
  | "broken";

const LEFT = new Set([
  "25006", // read_only_sql_transaction
  "57P04", // database_dropped
]);

const BROKEN = new Set([
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57P05", // idle_session_timeout
  "25P03", // idle_in_transaction_session_timeout
  "26000", // invalid_sql_statement_name: the statement was prepared in another session
  "42P05", // duplicate_prepared_statement: another client prepared the statement in this session
]);

/** The tables of a prepared statement have changed: from now on the statement always fails on this connection. */
const PLAN_IS_OLD = "cached plan must not change result type";

/** Returns what an error of the driver means for the connection. */
export function meaningOf(error: unknown): FailureMeaning {
  if (!(error instanceof Error)) return "content";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (LEFT.has(code)) return "left";
  if (BROKEN.has(code) || code.startsWith("08") || error.message === PLAN_IS_OLD) return "broken";
  return "content";
}
