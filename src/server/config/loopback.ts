import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Whether only this machine can reach a listener on a host: 127.0.0.0/8, ::1, and the name localhost. Any other name
 * may resolve to another address later, so it does not count as loopback.
 */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  // An address with a zone (fe80::1%eth0) belongs to a network: it is not loopback.
  return !host.includes("%") && LOOPBACK.check(host, version === 4 ? "ipv4" : "ipv6");
}
