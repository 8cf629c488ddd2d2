/** What a failed statement says of its connection. */
export type FailureMeaning =
  /** Nothing: it was the statement. */
  | "content"
  /** It leads to a server or a database that takes no writes, or is no more. */
  | "left"
  /** It is of no use any more; others may be. */
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
  "26000", // invalid_sql_statement_name: the session is not the one in which it was prepared
  "42P05", // duplicate_prepared_statement: nor the one that this client has opened
]);

/** The tables have changed under a prepared statement: it fails on its connection for ever. */
const PLAN_IS_OLD = "cached plan must not change result type";

export function meaningOf(error: unknown): FailureMeaning {
  if (!(error instanceof Error)) return "content";
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (LEFT.has(code)) return "left";
  if (BROKEN.has(code) || code.startsWith("08") || error.message === PLAN_IS_OLD) return "broken";
  return "content";
}
