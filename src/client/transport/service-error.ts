import { fromBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { describeConnectionProblem } from "./connection-problem.ts";
import { readErrorDetails, RPC_CODES, SpoolRpcError } from "../../codec/rpc-error.ts";
import type { ErrorDetails } from "../../codec/rpc-error.ts";

/**
 * Converts an error of grpc-js: its code, and the details of google.rpc.Status in the trailers.
 *
 * @param target the target of the call
 */
export function readServiceError(error: ServiceError, target: string): SpoolRpcError {
  const [bytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = bytes instanceof Buffer ? detailsOf(bytes) : {};
  const isReset = bytes === undefined && RESET_CODES.has(error.code);
  const code = isReset ? "UNAVAILABLE" : (RPC_CODES[error.code] ?? "UNKNOWN");
  const text = error.details || `the call failed with ${code}`;
  const isUnreached = bytes === undefined && error.code === status.UNAVAILABLE;
  const message = isUnreached ? describeConnectionProblem(text, target) : text;
  return new SpoolRpcError(code, message, details, { cause: error });
}

/**
 * The codes that grpc-js uses for a stream that a proxy or a crashed server reset without an answer. Spool sends
 * details with every error, so without details these codes are not an answer of Spool.
 */
const RESET_CODES = new Set([status.INTERNAL, status.CANCELLED]);

function detailsOf(bytes: Buffer): ErrorDetails {
  try {
    return readErrorDetails(fromBinary(StatusSchema, bytes).details);
  } catch {
    return {}; // Malformed details must not hide the error.
  }
}
