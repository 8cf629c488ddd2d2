import { cors } from "@connectrpc/connect";
import type { Logger } from "pino";
import { OriginRefused, SpoolError } from "../../domain/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { sendError } from "./http-answer.ts";
import type { HttpRequest, HttpResponse } from "./http-server.ts";
import { isLoopback } from "../config/loopback.ts";

/** How long a browser may keep the answer to a preflight. */
const PREFLIGHT_SECONDS = 7_200;

const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": cors.allowedMethods.join(", "),
  "access-control-allow-headers": [...cors.allowedHeaders, "Authorization", "Last-Event-ID"].join(", "),
  "access-control-max-age": `${PREFLIGHT_SECONDS}`,
};

/**
 * Keeps pages of other origins out. A browser sends what any page tells it to, from inside the network and with the
 * network's rights: so a page must be of this server's own origin or of one that is named, and where no token is asked
 * for, the server must have been called by a name that nobody else can point at it (DNS rebinding).
 *
 * @returns whether a request may go on. Otherwise it has been answered: refused, or a preflight that is granted
 */
export function originGuard({
  origins,
  hasToken,
  log,
}: {
  origins: readonly string[];
  hasToken: boolean;
  log: Logger;
}): (request: HttpRequest, response: HttpResponse) => boolean {
  const named: ReadonlySet<string> = new Set(origins);
  const namedHosts: ReadonlySet<string> = new Set(origins.map((origin) => new URL(origin).hostname));

  return (request, response) => {
    const host = hostOf(request);
    const url = URL.parse(`http://${host}`);
    if (host === null || url === null) {
      return refuse(new SpoolError("INVALID_ARGUMENT", "host: must name the server, as a URL does"));
    }
    const { origin } = request.headers;
    const seen = { host: url.host, ...(origin !== undefined && { origin }) };
    if (!hasToken && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, "$1")) && !namedHosts.has(url.hostname)) {
      const what = `this server does not know itself as ${JSON.stringify(url.host)}`;
      return refuse(
        new OriginRefused(`${what}: it answers to localhost, and to the hosts of SPOOL_HTTP_ORIGINS`, seen),
      );
    }
    if (named.size > 0) response.setHeader("vary", "origin");
    if (origin === undefined) {
      if (isOfThisOrigin(request)) return true;
      return refuse(new OriginRefused("a page of another origin asks: SPOOL_HTTP_ORIGINS must name it", seen));
    }
    if (named.has(origin)) {
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", [...cors.exposedHeaders, "Retry-After"].join(", "));
      if (!isPreflight(request)) return true;
      response.writeHead(204, PREFLIGHT_HEADERS);
      response.end();
      return false;
    }
    if (isSame(origin, host, request)) return true;
    const what = `a page of origin ${JSON.stringify(origin.slice(0, 256))} asks, by the host ${JSON.stringify(url.host)}`;
    const todo = "SPOOL_HTTP_ORIGINS must name the origin; where it is this server's own, a proxy must pass Host on";
    return refuse(new OriginRefused(`${what}: ${todo}`, seen));

    function refuse(error: SpoolError): false {
      sendError(response, toConnectError(error, log));
      return false;
    }
  };
}

/** By what name and port the server was called; null where that is nothing that a URL could hold. */
function hostOf({ headers }: HttpRequest): string | null {
  const host = (headers[":authority"] as string | undefined) ?? headers.host;
  return host === undefined || /[/?#@\\]/.test(host) ? null : host;
}

/**
 * Whether a request without an Origin is that of a page of this server, or of no page at all. Browsers leave it out of
 * reads, and say who asks by other headers. A link on another page may be followed: that page sees nothing of it.
 */
function isOfThisOrigin({ method, headers }: HttpRequest): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== "cross-site" && site !== "same-site") return true;
  return method === "GET" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}

/** A proxy may have taken the TLS off; what came over TLS was asked for by https. */
function isSame(origin: string, host: string, { socket }: HttpRequest): boolean {
  const of = URL.parse(origin);
  if (of?.protocol !== "https:" && (of?.protocol !== "http:" || isEncrypted(socket))) return false;
  return URL.parse(`${of.protocol}//${host}`)?.host === of.host;
}

function isEncrypted(socket: HttpRequest["socket"]): boolean {
  return "encrypted" in socket && socket.encrypted === true;
}

function isPreflight({ method, headers }: HttpRequest): boolean {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}
