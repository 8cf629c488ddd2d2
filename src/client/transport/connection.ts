import type { ChannelCredentials } from "@grpc/grpc-js";
import { ADDRESS_DEFAULT, readAddress } from "./address.ts";
import { openGrpcTransport } from "./grpc-transport.ts";
import type { GrpcTransport } from "./grpc-transport.ts";
import { forTarget } from "./ip-credentials.ts";

export interface ConnectionOptions {
  /** `host:port`, or `https://host:port` for TLS. Default: SPOOL_ADDRESS, else 127.0.0.1:50051. */
  address?: string | undefined;
  /** Bearer token, sent with every call. Default: SPOOL_TOKEN, else none. */
  token?: string | undefined;
  /** Credentials from @grpc/grpc-js, for example for mutual TLS. Default: TLS or plaintext, as the address says. */
  credentials?: ChannelCredentials | undefined;
}

/** Creates a transport. It connects with the first call. @throws TypeError for a malformed address or token */
export function openConnection(options: ConnectionOptions): GrpcTransport {
  const { token = process.env["SPOOL_TOKEN"] || undefined } = options;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new TypeError("token: must be printable ASCII");
  const { target, credentials } = readAddress(options.address ?? (process.env["SPOOL_ADDRESS"] || ADDRESS_DEFAULT));
  return openGrpcTransport(target, forTarget(target, options.credentials ?? credentials), token);
}
