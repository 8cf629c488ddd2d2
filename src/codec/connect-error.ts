import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { readErrorDetails, RPC_CODES, SpoolRpcError } from "./rpc-error.ts";

/** Codes that also answers of proxies have, so that a repeated call would not help. */
const ANSWERS_OF_OTHERS: ReadonlySet<string> = new Set(["UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED"]);

/**
 * Converts an error of Connect. Errors of Spool have a reason. Without a reason, the server was not reached or a proxy
 * answered. A browser cannot tell these apart, and Connect's code is arbitrary, except for a path that does not exist.
 *
 * @param target the server's name, for the message
 */
export function readConnectError(error: unknown, target = "the server"): SpoolRpcError {
  const { code, rawMessage, details, cause } = ConnectError.from(error);
  if (cause instanceof SpoolRpcError) return cause; // An interceptor has thrown it.
  const packed = details.flatMap((detail) =>
    "type" in detail && "value" in detail
      ? [create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value as Uint8Array })]
      : [],
  );
  const read = readErrorDetails(packed);
  const name = RPC_CODES[code] ?? "UNKNOWN";
  if (read.reason === undefined && !ANSWERS_OF_OTHERS.has(name)) {
    return new SpoolRpcError("UNAVAILABLE", `${target} cannot be reached (${rawMessage})`, {}, { cause: error });
  }
  return new SpoolRpcError(name, rawMessage, read, { cause: error });
}
