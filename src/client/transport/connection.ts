import { credentials } from "@grpc/grpc-js";
import { ADDRESS_DEFAULT, readAddress } from "./address.ts";
import { openGrpcTransport } from "./grpc-transport.ts";
import type { GrpcTransport } from "./grpc-transport.ts";
import { forTarget } from "./ip-credentials.ts";
import { tlsCredentials } from "./tls.ts";
import { checkNamespace } from "./namespace.ts";
import { checkToken } from "./token.ts";
import type { ConnectionOptions } from "./connection-options.ts";

/**
 * Creates a transport. It connects with the first call.
 *
 * @param options.isVerified whether to check the server's certificate. Default true
 * @throws TypeError for a malformed address, token or namespace, and for unusable certificates
 */
export function openConnection(options: ConnectionOptions & { isVerified?: boolean }): GrpcTransport {
  const { token = process.env["SPOOL_TOKEN"] || undefined } = options;
  const { namespace = process.env["SPOOL_CALL_NAMESPACE"] || undefined } = options;
  checkToken(token);
  checkNamespace(namespace);
  const { target, isTls, isPlain } = readAddress(options.address ?? (process.env["SPOOL_ADDRESS"] || ADDRESS_DEFAULT));
  if (isPlain && options.tls !== undefined) throw new TypeError("address: must not begin with http:// if tls is given");
  const tls = options.tls ?? (isTls ? {} : null);
  const chosen = tls === null ? credentials.createInsecure() : forTarget(target, tlsCredentials(tls, options));
  return openGrpcTransport(target, chosen, { token, namespace });
}
