import { StoreUnavailable } from "../domain/errors.ts";

/**
 * Classes of SQLSTATE that speak of what a statement holds. Sent again, the same statement fails again, on the best of
 * databases: only the item that it writes is to blame.
 */
const CONTENT_CLASSES = new Set([
  "21", // cardinality violation
  "22", // data exception, which text that cannot be encoded is too
  "23", // integrity constraint violation
  "44", // WITH CHECK OPTION violation
  "54", // program limit exceeded
]);

/** Of class 42, which speaks of the statement's text: what a change of the database or its configuration brings about. */
const CONFIGURATION_CODES = new Set([
  "42501", // insufficient_privilege
  "42703", // undefined_column
  "42704", // undefined_object
  "42883", // undefined_function
  "42P01", // undefined_table: also when the search_path has changed
]);
const STATEMENT_TEXT_CLASS = "42";

/** Two transactions stood in each other's way and one was undone: the same statement sent again succeeds. */
const RETRYABLE = new Set(["40001", "40P01"]);

/** A digit tells it from the code of a socket: `EPIPE`. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/**
 * Names what a driver threw: StoreUnavailable where the database is in trouble, else the error as it is. Trouble is
 * everything but three things: what the statement holds (isContentError), two transactions in each other's way
 * (isSerializationFailure), and a mistake in this program. Nobody can list what may be wrong with a database, its disk,
 * its configuration or the network before it: an error that is not known is trouble too.
 */
export function translateStoreError(error: unknown): unknown {
  return isTrouble(error) ? new StoreUnavailable(error, { sqlstate: sqlstateOf(error) }) : error;
}

function isTrouble(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof StoreUnavailable) return false;
  const sqlstate = sqlstateOf(error);
  // Of a socket or of the driver, which has no codes for a connection that broke.
  if (sqlstate === undefined) return !(error instanceof TypeError || error instanceof RangeError);
  if (sqlstate.startsWith(STATEMENT_TEXT_CLASS)) return CONFIGURATION_CODES.has(sqlstate);
  return !RETRYABLE.has(sqlstate) && !CONTENT_CLASSES.has(sqlstate.slice(0, 2));
}

/** Why a statement failed, in a word: of what translateStoreError has named. */
export type StoreErrorReason = "unavailable" | "conflict" | "refused";

/**
 * `unavailable`: the database could not be reached or is in trouble. `conflict`: two transactions stood in each other's
 * way. `refused`: it was reached, and would not do it.
 */
export function storeErrorReason(error: unknown): StoreErrorReason {
  if (isStatementTimeout(error)) return "refused"; // Spool gives up long reads by itself: the database is well.
  if (error instanceof StoreUnavailable) return "unavailable";
  return isSerializationFailure(error) ? "conflict" : "refused";
}

/** Whether what a statement holds is to blame: it fails again however often it is sent, and others do not. */
export function isContentError(error: unknown): boolean {
  return CONTENT_CLASSES.has(sqlstateOf(error)?.slice(0, 2) ?? "");
}

/** Whether nothing was written and the same statement may be sent again at once. */
export function isSerializationFailure(error: unknown): boolean {
  return RETRYABLE.has(sqlstateOf(error) ?? "");
}

/** Whether a statement took longer than it was given (or an operator cancelled it). */
export function isStatementTimeout(error: unknown): boolean {
  return sqlstateOf(error) === "57014"; // query_canceled
}

/** The code that Postgres has answered with; undefined: the error is not an answer of Postgres. */
export function sqlstateOf(error: unknown): string | undefined {
  if (error instanceof StoreUnavailable) return sqlstateOf(error.cause);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && SQLSTATE.test(code) ? code : undefined;
}
