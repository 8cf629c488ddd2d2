import type { HttpRequest } from "./http-server.ts";

/** Returns the host and port of a request; null if they are not valid in a URL. */
export function hostOf({ headers }: HttpRequest): string | null {
  const host = (headers[":authority"] as string | undefined) ?? headers.host;
  return host === undefined || /[/?#@\\]/.test(host) ? null : host;
}

/** Whether the origin is that of the host. A proxy may terminate TLS, so https is accepted on a plain connection. */
export function isSame(origin: string, host: string, { socket }: HttpRequest): boolean {
  const of = URL.parse(origin);
  if (of?.protocol !== "https:" && (of?.protocol !== "http:" || isEncrypted(socket))) return false;
  return URL.parse(`${of.protocol}//${host}`)?.host === of.host;
}

/** Whether a page of this server was loaded by https, as far as the request shows it: a proxy may terminate TLS. */
export function isSecure({ socket, headers: { origin } }: HttpRequest): boolean {
  return isEncrypted(socket) || origin?.startsWith("https://") === true;
}

/** The console sends this header. Pages of other origins cannot: no preflight allows it. */
const CONSOLE_HEADER = "spool-console";

/**
 * Whether a request certainly comes from a page of this server. Only such requests may use a cookie, because a browser
 * also adds it to requests of other pages, such as those of another port of the same host.
 *
 * Browsers send `Sec-Fetch-Site` to https and loopback, and `Origin` with every request except for reads.
 */
export function isOfOwnPage(request: HttpRequest): boolean {
  const { origin, "sec-fetch-site": site, [CONSOLE_HEADER]: sender } = request.headers;
  if (site !== undefined) return site === "same-origin";
  if (origin === undefined) return sender !== undefined;
  const host = hostOf(request);
  return host !== null && isSame(origin, host, request);
}

function isEncrypted(socket: HttpRequest["socket"]): boolean {
  return "encrypted" in socket && socket.encrypted === true;
}
