import type { ChannelCredentials } from "@grpc/grpc-js";
import { ADDRESS_DEFAULT, readAddress } from "./address.ts";
import { openGrpcTransport } from "./grpc-transport.ts";
import type { GrpcTransport } from "./grpc-transport.ts";
import { forTarget } from "./ip-credentials.ts";

export interface ConnectionOptions {
  /** `host:port`, or `https://host:port` for TLS. Left out: SPOOL_ADDRESS, or 127.0.0.1:50051. */
  address?: string | undefined;
  /** Sent as a bearer token with every call. Left out: SPOOL_TOKEN, or none. */
  token?: string | undefined;
  /** For mutual TLS and the like: from @grpc/grpc-js, instead of those that the address implies. */
  credentials?: ChannelCredentials | undefined;
}

/** Opens the way to a service. It connects when the first call is made. */
export function openConnection(options: ConnectionOptions): GrpcTransport {
  const { token = process.env["SPOOL_TOKEN"] || undefined } = options;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new TypeError("token: must be printable ASCII");
  const { target, credentials } = readAddress(options.address ?? (process.env["SPOOL_ADDRESS"] || ADDRESS_DEFAULT));
  return openGrpcTransport(target, forTarget(target, options.credentials ?? credentials), token);
}
