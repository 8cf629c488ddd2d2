import { SpoolRpcError } from "../codec/rpc-error.ts";

/** A request refused before it was sent, in the words that the server would use. */
export function invalidArgument(field: string, description: string): SpoolRpcError {
  return new SpoolRpcError("INVALID_ARGUMENT", `${field}: ${description}`, {
    reason: "INVALID_ARGUMENT",
    violations: [{ field, description }],
  });
}

/** The error of a part of a request that was refused here, with the part's path before its field. */
export function invalidWithin(path: string, error: unknown): unknown {
  const violation = error instanceof SpoolRpcError ? error.violations[0] : undefined;
  return violation === undefined ? error : invalidArgument(`${path}.${violation.field}`, violation.description);
}

/** Whether the same call may do better in a moment: the server says so, or was not reached. */
export function isTransient(error: unknown): error is SpoolRpcError {
  return error instanceof SpoolRpcError && (error.code === "UNAVAILABLE" || error.retryAfterMs !== undefined);
}
