/** A known connection error, and the message that explains its likely cause. */
interface Problem {
  /** Text of grpc-js, OpenSSL or Node. */
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
    say: ({ target }) => `the host name in ${target} cannot be resolved: check its spelling`,
  },
  {
    sign: /Failed to parse DNS address|ERR_SOCKET_BAD_PORT/,
    say: ({ target }) => `${target} is not an address: use host:port or https://host:port, with a port from 1 to 65535`,
  },
  {
    sign: /Last error: Protocol error|HTTP_1_1_REQUIRED|frame size/,
    say: ({ target }) =>
      `the server at ${target} does not speak gRPC: is this its HTTP port? Use its gRPC port (50051 by default)`,
  },
  {
    sign: /Last error: Failed to connect|ECONNRESET|socket hang up/,
    say: ({ target }) =>
      `${target} closed the connection before gRPC began: if the server uses TLS, use https://${target}`,
  },
  {
    sign: /wrong version number|packet length too long|EPROTO/i,
    say: ({ target }) => `${target} does not speak TLS: remove https:// from the address`,
  },
  {
    sign: /Hostname\/IP does not match|ERR_TLS_CERT_ALTNAME_INVALID/,
    say: ({ target }) =>
      `the certificate at ${target} has another name: use a name or an IP address from the certificate`,
  },
  {
    sign: /self-signed certificate|unable to (?:get|verify)[\w ]* certificate|certificate has expired|CERT_\w+/,
    say: ({ target, sign }) =>
      `the certificate at ${target} is not trusted (${sign}): set NODE_EXTRA_CA_CERTS to the certificate of its authority`,
  },
  {
    sign: /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/,
    say: ({ target, sign }) => `${target} cannot be reached (${sign}): check the address and the network`,
  },
];

/**
 * Returns why the server was not reached and what to do, instead of the library's text.
 *
 * @param text the message of grpc-js, if no server answered
 */
export function describeConnectionProblem(text: string, target: string): string {
  for (const { sign, say } of PROBLEMS) {
    const found = sign.exec(text);
    if (found !== null) return say({ target, sign: found[0] });
  }
  // For all other errors, removes the text that the library adds.
  const [, problem] =
    /^No connection established\. Last error: (?:Error: )?(.*?)\s*\. Resolution note: /s.exec(text) ?? [];
  return problem === undefined ? text : `no connection to ${target}: ${problem}`;
}
