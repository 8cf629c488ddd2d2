import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Whether only this machine can reach what listens on a host: 127.0.0.0/8, ::1, and the name localhost. Any other name
 * may come to stand for another address, so it is not, whatever it looks like.
 */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  // An address with a zone (fe80::1%eth0) is of one network: not loopback.
  return !host.includes("%") && LOOPBACK.check(host, version === 4 ? "ipv4" : "ipv6");
}
