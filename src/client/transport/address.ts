import { credentials } from "@grpc/grpc-js";
import type { ChannelCredentials } from "@grpc/grpc-js";

const PORT_DEFAULT = 50051;
/** Where `spool serve` listens unless told otherwise. */
export const ADDRESS_DEFAULT = `127.0.0.1:${PORT_DEFAULT}`;

/**
 * Reads an address as people write it: `host`, `host:port`, `http://host:port`, `https://host:port` for TLS with the
 * machine's certificate authorities, or any target that gRPC knows (`dns:…`, `unix:…`). The port is 50051 where none
 * is named.
 */
export function readAddress(address: string): { target: string; credentials: ChannelCredentials } {
  const [, scheme, rest] = /^(https?:\/\/)?(.+?)\/?$/.exec(address.trim()) ?? [];
  if (rest === undefined) throw new TypeError("address: must be host:port");
  const withoutPort = /^([^:[\]/]+|\[[^\]]+\])$/.test(rest);
  return {
    target: withoutPort ? `${rest}:${PORT_DEFAULT}` : rest,
    credentials: scheme === "https://" ? credentials.createSsl() : credentials.createInsecure(),
  };
}
