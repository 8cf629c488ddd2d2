/** What a connection that was not made says of the likely mistake. */
interface Problem {
  /** Of grpc-js, OpenSSL or Node. */
  sign: RegExp;
  say: (place: { target: string; sign: string }) => string;
}

const PROBLEMS: readonly Problem[] = [
  {
    sign: /ECONNREFUSED/,
    say: ({ target }) => `nothing listens at ${target} (ECONNREFUSED)`,
  },
  {
    sign: /Name resolution failed/,
    say: ({ target }) => `the name of the host in ${target} cannot be resolved: check how it is spelled`,
  },
  {
    sign: /Failed to parse DNS address|ERR_SOCKET_BAD_PORT/,
    say: ({ target }) => `${target} is no address: write host:port, or https://host:port, with a port of 1 to 65535`,
  },
  {
    sign: /Last error: Protocol error|HTTP_1_1_REQUIRED|frame size/,
    say: ({ target }) =>
      `what listens at ${target} does not speak gRPC: is it the HTTP port of the server? The address is to name its gRPC port (50051 by default)`,
  },
  {
    sign: /Last error: Failed to connect|ECONNRESET|socket hang up/,
    say: ({ target }) =>
      `${target} closed the connection before gRPC began: if the server speaks TLS, write https://${target}`,
  },
  {
    sign: /wrong version number|packet length too long|EPROTO/i,
    say: ({ target }) => `${target} does not speak TLS: leave https:// out of the address`,
  },
  {
    sign: /Hostname\/IP does not match|ERR_TLS_CERT_ALTNAME_INVALID/,
    say: ({ target }) =>
      `the certificate at ${target} is of another name: use a name or an IP address that stands in the certificate`,
  },
  {
    sign: /self-signed certificate|unable to (?:get|verify)[\w ]* certificate|certificate has expired|CERT_\w+/,
    say: ({ target, sign }) =>
      `the certificate at ${target} is not trusted (${sign}): name the authority that signed it in NODE_EXTRA_CA_CERTS`,
  },
  {
    sign: /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/,
    say: ({ target, sign }) => `${target} cannot be reached (${sign}): check the address, and the network in between`,
  },
];

/**
 * Says why a server was not reached, and what to do, in place of the transport's own text.
 *
 * @param text what grpc-js says, without an answer of a server
 */
export function describeConnectionProblem(text: string, target: string): string {
  for (const { sign, say } of PROBLEMS) {
    const found = sign.exec(text);
    if (found !== null) return say({ target, sign: found[0] });
  }
  // Of the rest the library's frame is taken off.
  const [, problem] =
    /^No connection established\. Last error: (?:Error: )?(.*?)\s*\. Resolution note: /s.exec(text) ?? [];
  return problem === undefined ? text : `no connection to ${target}: ${problem}`;
}
