const PORT_DEFAULT = 50051;
/** The default address of `spool serve`. */
export const ADDRESS_DEFAULT = `127.0.0.1:${PORT_DEFAULT}`;

/**
 * Parses an address: `host`, `host:port`, `http://host:port`, `https://host:port` for TLS with the machine's
 * certificate authorities, or any target of gRPC (`dns:…`, `unix:…`). The default port is 50051.
 *
 * @returns the target for grpc-js, and whether the address asks for TLS or rules it out
 * @throws TypeError for an empty address
 */
export function readAddress(address: string): { target: string; isTls: boolean; isPlain: boolean } {
  const [, scheme, rest] = /^(https?:\/\/)?(.+?)\/?$/.exec(address.trim()) ?? [];
  if (rest === undefined) throw new TypeError("address: must be host:port");
  const withoutPort = /^([^:[\]/]+|\[[^\]]+\])$/.test(rest);
  return {
    target: withoutPort ? `${rest}:${PORT_DEFAULT}` : rest,
    isTls: scheme === "https://",
    isPlain: scheme === "http://",
  };
}
