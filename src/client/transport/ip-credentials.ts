import { isIP } from "node:net";
import type { ChannelCredentials } from "@grpc/grpc-js";

/**
 * Credentials for a target that may be an IP address. grpc-js names the target to the server whatever it is (SNI),
 * which RFC 6066 does not allow for an address: Node warns of it, and will ignore it. Without the name the certificate
 * is checked against the address all the same.
 */
export function forTarget(target: string, credentials: ChannelCredentials): ChannelCredentials {
  if (isIP(hostOf(target)) === 0 || !credentials._isSecure()) return credentials;
  const createConnector = credentials._createSecureConnector.bind(credentials);
  // The caller's own object may be for other targets as well: it stays as it is.
  const withoutName = Object.create(credentials) as ChannelCredentials;
  withoutName._createSecureConnector = (...args) => {
    const connector = createConnector(...args) as ReturnType<typeof createConnector> & {
      connectionOptions?: { servername?: string };
    };
    if (connector.connectionOptions !== undefined) connector.connectionOptions.servername = "";
    return connector;
  };
  return withoutName;
}

/** `[::1]:50051` and `dns:127.0.0.1:50051` are of the hosts ::1 and 127.0.0.1. */
function hostOf(target: string): string {
  return /^(?:\w+:(?:\/\/\/)?)?\[?(.+?)\]?(?::\d+)?$/.exec(target)?.[1] ?? target;
}
