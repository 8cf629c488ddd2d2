import { StoreUnavailable } from "../domain/errors.ts";

/** Codes of Postgres (and of the sockets below) that say that the server, not the statement, is the trouble. */
const UNAVAILABLE = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57P05", // idle_session_timeout
  "25P03", // idle_in_transaction_session_timeout: this process stood still for too long
  "53300", // too_many_connections
  "25006", // read_only_sql_transaction: the primary has moved
]);

/** node-pg has no codes for a connection that broke under a query or could not be had in time. */
const UNAVAILABLE_MESSAGES = [
  "Connection terminated",
  "Client has encountered a connection error",
  "timeout exceeded when trying to connect",
  "timeout expired",
  "Query read timeout",
];

/** Two transactions stood in each other's way and one was undone: the same statement sent again succeeds. */
const RETRYABLE = new Set(["40001", "40P01"]);

/** Names what a driver threw: StoreUnavailable where the database cannot be reached, else the error as it is. */
export function translateStoreError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = codeOf(error);
  const unavailable =
    UNAVAILABLE.has(code) ||
    code.startsWith("08") ||
    UNAVAILABLE_MESSAGES.some((message) => error.message.startsWith(message));
  return unavailable ? new StoreUnavailable(error) : error;
}

/** Why a statement failed, in a word: of what translateStoreError has named. */
export type StoreErrorReason = "unavailable" | "conflict" | "refused";

/**
 * `unavailable`: the database could not be reached. `conflict`: two transactions stood in each other's way.
 * `refused`: it was reached, and would not do it.
 */
export function storeErrorReason(error: unknown): StoreErrorReason {
  if (error instanceof StoreUnavailable) return "unavailable";
  return isSerializationFailure(error) ? "conflict" : "refused";
}

/** Whether nothing was written and the same statement may be sent again at once. */
export function isSerializationFailure(error: unknown): boolean {
  return error instanceof Error && RETRYABLE.has(codeOf(error));
}

/** Whether a statement took longer than it was given (or an operator cancelled it). */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === "57014"; // query_canceled
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}
