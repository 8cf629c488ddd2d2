import { StoreUnavailable } from "../domain/errors.ts";

/**
 * Classes of SQLSTATE that report an error in the data of a statement. A retry of the same statement fails again, even
 * on a healthy database: only the item that it writes is at fault.
 */
const CONTENT_CLASSES = new Set([
  "21", // cardinality violation
  "22", // data exception, which includes text that cannot be encoded
  "23", // integrity constraint violation
  "44", // WITH CHECK OPTION violation
  "54", // program limit exceeded
]);

/** Codes of class 42 (errors in the text of a statement) that a change of the database or its configuration causes. */
const CONFIGURATION_CODES = new Set([
  "42501", // insufficient_privilege
  "42703", // undefined_column
  "42704", // undefined_object
  "42883", // undefined_function
  "42P01", // undefined_table: also when the search_path has changed
]);
const STATEMENT_TEXT_CLASS = "42";

/** Codes of a transaction that was rolled back because of another one. A retry of the same statement succeeds. */
const RETRYABLE = new Set(["40001", "40P01"]);

/** Refuses all writes of namespaces that have left a shard: see access/moved-namespaces.ts. */
export const MOVED_CONSTRAINT = "spool_moved";

/** Matches a SQLSTATE. It contains a digit, unlike the code of a socket error, such as `EPIPE`. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/**
 * Translates an error of the driver: returns StoreUnavailable if the database is in trouble, else the error unchanged.
 *
 * Every error counts as trouble, except three sorts: an error in the data of the statement (isContentError), a conflict
 * of two transactions (isSerializationFailure), and a bug in this program. A write of a namespace that has moved to
 * another shard is trouble: it succeeds there. There is no complete list of the possible
 * faults of a database, its disk, its configuration and its network. So an unknown error counts as trouble too.
 */
export function translateStoreError(error: unknown): unknown {
  return isTrouble(error) ? new StoreUnavailable(error, { sqlstate: sqlstateOf(error) }) : error;
}

function isTrouble(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return false;
  const sqlstate = sqlstateOf(error);
  // An error of a socket or of the driver. The driver has no codes for a broken connection.
  if (sqlstate === undefined) return !(error instanceof TypeError || error instanceof RangeError);
  if ((error as { constraint?: string }).constraint === MOVED_CONSTRAINT) return true;
  if (sqlstate.startsWith(STATEMENT_TEXT_CLASS)) return CONFIGURATION_CODES.has(sqlstate);
  return !RETRYABLE.has(sqlstate) && !CONTENT_CLASSES.has(sqlstate.slice(0, 2));
}

/** Why a statement failed, for metrics. */
export type StoreErrorReason = "unavailable" | "conflict" | "refused";

/**
 * Returns the reason of an error that translateStoreError has returned:
 *
 * - `unavailable`: the database could not be reached or is in trouble.
 * - `conflict`: two transactions conflicted.
 * - `refused`: the database answered, and refused the statement.
 */
export function storeErrorReason(error: unknown): StoreErrorReason {
  if (isStatementTimeout(error)) return "refused"; // Spool itself limits long reads: the database is healthy.
  if (error instanceof StoreUnavailable) return "unavailable";
  return isSerializationFailure(error) ? "conflict" : "refused";
}

/** Whether the data of a statement is at fault: each retry fails again, and other statements do not. */
export function isContentError(error: unknown): boolean {
  return !(error instanceof StoreUnavailable) && CONTENT_CLASSES.has(sqlstateOf(error)?.slice(0, 2) ?? "");
}

/** Whether nothing was written, and the same statement may be retried at once. */
export function isSerializationFailure(error: unknown): boolean {
  return RETRYABLE.has(sqlstateOf(error) ?? "");
}

/** Whether a statement exceeded its time limit, or an operator cancelled it. */
export function isStatementTimeout(error: unknown): boolean {
  return sqlstateOf(error) === "57014"; // query_canceled
}

/** Returns the code in an error that Postgres answered with; undefined if the error has another origin. */
export function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof StoreUnavailable) return sqlstateOf(error.cause);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && SQLSTATE.test(code) ? code : undefined;
}
