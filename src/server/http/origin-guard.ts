import { cors } from "@connectrpc/connect";
import type { Logger } from "pino";
import { OriginRefused, SpoolError } from "../../domain/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { sendError } from "./http-answer.ts";
import type { HttpRequest, HttpResponse } from "./http-server.ts";
import { isLoopback } from "../config/loopback.ts";
import { hostOf, isSame } from "./page-origin.ts";

/** How long a browser may cache a preflight response. */
const PREFLIGHT_SECONDS = 7_200;

const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": cors.allowedMethods.join(", "),
  "access-control-allow-headers": [...cors.allowedHeaders, "Authorization", "Last-Event-ID", "Spool-Namespace"].join(
    ", ",
  ),
  "access-control-max-age": `${PREFLIGHT_SECONDS}`,
};

/**
 * Decides which origins may call the HTTP endpoint. A browser sends the requests of any page, from inside the network
 * and with the network's rights. So a page must come from this server's origin or from an allowed origin. Without a
 * token, the host of the request must also be loopback or an allowed host, which prevents DNS rebinding.
 *
 * @returns whether a request is admitted. If not, the response has been sent: a refusal or a granted preflight
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
      return refuse(new SpoolError("INVALID_ARGUMENT", "host: must be a host and port, as in a URL"));
    }
    const { origin } = request.headers;
    const seen = { host: url.host, ...(origin !== undefined && { origin }) };
    if (!hasToken && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, "$1")) && !namedHosts.has(url.hostname)) {
      const what = `unknown host ${JSON.stringify(url.host)}`;
      return refuse(new OriginRefused(`${what}: use localhost, or a host of SPOOL_HTTP_ORIGINS`, seen));
    }
    if (named.size > 0) response.setHeader("vary", "origin");
    if (origin === undefined) {
      if (isOfThisOrigin(request)) return true;
      return refuse(
        new OriginRefused("request of a page of another origin: add the origin to SPOOL_HTTP_ORIGINS", seen),
      );
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
    const what = `request of a page of origin ${JSON.stringify(origin.slice(0, 256))} to host ${JSON.stringify(url.host)}`;
    const todo = "add the origin to SPOOL_HTTP_ORIGINS, or make the proxy forward Host if the page is this server's";
    return refuse(new OriginRefused(`${what}: ${todo}`, seen));

    function refuse(error: SpoolError): false {
      sendError(response, toConnectError(error, log));
      return false;
    }
  };
}

/**
 * Whether a request without an Origin header comes from a page of this server, or from no page. Browsers omit Origin in
 * reads and send Sec-Fetch-* headers. A link on another page may be followed: that page does not see the response.
 */
function isOfThisOrigin({ method, headers }: HttpRequest): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== "cross-site" && site !== "same-site") return true;
  return method === "GET" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
}

function isPreflight({ method, headers }: HttpRequest): boolean {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}
