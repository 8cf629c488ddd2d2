import { SpoolRpcError } from "../codec/rpc-error.ts";

/**
 * Returns the error of a request that the client rejects before sending it, with the text that the server would use.
 */
export function invalidArgument(field: string, description: string): SpoolRpcError {
  return new SpoolRpcError("INVALID_ARGUMENT", `${field}: ${description}`, {
    reason: "INVALID_ARGUMENT",
    violations: [{ field, description }],
  });
}

/** Returns the same error with the path of the rejected part before its field. */
export function invalidWithin(path: string, error: unknown): unknown {
  const violation = error instanceof SpoolRpcError ? error.violations[0] : undefined;
  return violation === undefined ? error : invalidArgument(`${path}.${violation.field}`, violation.description);
}

/** Whether a repeated call may succeed: the server says so, or was not reached. */
export function isTransient(error: unknown): error is SpoolRpcError {
  return error instanceof SpoolRpcError && (error.code === "UNAVAILABLE" || error.retryAfterMs !== undefined);
}
