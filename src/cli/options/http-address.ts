import { UsageError } from "./usage-error.ts";

const HTTP_PORT_DEFAULT = 8080;

/** Parses the URL of an HTTP endpoint, which may have a path. Its path ends with `/`. @throws UsageError */
export function parseHttpAddress(text: string, from: string): URL {
  const url = URL.parse(text);
  const isValid = url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!isValid || url.username !== "" || url.password !== "") {
    throw new UsageError(`${from} "${text}": must be a URL such as https://spool.example:8080`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/**
 * Returns the HTTP endpoint that belongs to a gRPC address by default: the same host, port 8080.
 *
 * @throws UsageError for an address without a host, such as `unix:/run/spool.sock`
 */
export function guessHttpAddress(address: string): URL {
  const [, scheme = "http://", host] = /^(https?:\/\/)?(\[[^\]]+\]|[^:[\]/]+)(?::\d+)?\/?$/.exec(address) ?? [];
  const url = host === undefined ? null : URL.parse(`${scheme}${host}:${HTTP_PORT_DEFAULT}/`);
  if (url !== null) return url;
  throw new UsageError(
    `no URL of the console follows from the address ${address}; give --http-address or SPOOL_HTTP_ADDRESS`,
  );
}
