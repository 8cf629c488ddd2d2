import { fromBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { describeConnectionProblem } from "./connection-problem.ts";
import { readErrorDetails, RPC_CODES, SpoolRpcError } from "../../codec/rpc-error.ts";
import type { ErrorDetails } from "../../codec/rpc-error.ts";

/**
 * Reads what grpc-js throws: the code, and the details of google.rpc.Status in the trailers.
 *
 * @param target what was called
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
 * What grpc-js calls a stream that was reset without an answer, by a proxy or a server that died. Spool sends details
 * with every error, so without them these are no answer of Spool's.
 */
const RESET_CODES = new Set([status.INTERNAL, status.CANCELLED]);

function detailsOf(bytes: Buffer): ErrorDetails {
  try {
    return readErrorDetails(fromBinary(StatusSchema, bytes).details);
  } catch {
    return {}; // Details that cannot be read must not hide the error that they came with.
  }
}
