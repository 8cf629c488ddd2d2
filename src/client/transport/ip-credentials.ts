import { isIP } from "node:net";
import type { ChannelCredentials } from "@grpc/grpc-js";

/**
 * Returns credentials that suit a target with an IP address. grpc-js always sends the target as the server name (SNI).
 * RFC 6066 forbids an IP address there; Node warns about it, and will ignore it. Without the server name, the
 * certificate is still checked against the address.
 */
export function forTarget(target: string, credentials: ChannelCredentials): ChannelCredentials {
  if (isIP(hostOf(target)) === 0) return credentials;
  const createConnector = credentials._createSecureConnector.bind(credentials);
  // The caller may use its object for other targets too, so it is not changed.
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

/** Returns the host of a target: `::1` for `[::1]:50051`, `127.0.0.1` for `dns:127.0.0.1:50051`. */
function hostOf(target: string): string {
  return /^(?:\w+:(?:\/\/\/)?)?\[?(.+?)\]?(?::\d+)?$/.exec(target)?.[1] ?? target;
}
