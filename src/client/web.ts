import { createConnectTransport } from "@connectrpc/connect-web";
import type { Interceptor } from "@connectrpc/connect";
import { createCaller } from "./caller.ts";
import type { CallerOptions, SpoolClient } from "./spool-client.ts";
import { callsOverConnect } from "./transport/connect-calls.ts";

export * from "./caller-exports.ts";

export interface WebConnectOptions extends CallerOptions {
  /** URL of the HTTP endpoint, with the path before it if a proxy adds one: `https://spool.example.com/tasks`. */
  url: string | URL;
  /** Bearer token, sent with every call, or a function that returns the token for a call. Default: none. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Replaces the `fetch` of the runtime. */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Creates a client for browsers and edge runtimes. It speaks Connect over `fetch`, so a server must allow the page's
 * origin (`SPOOL_HTTP_ORIGINS`) unless the page comes from the same origin. It has the same calls and promises as the
 * client over gRPC, but no workers.
 *
 * @throws TypeError for a URL that is not one of http or https
 */
export function connect({ url, token, fetch, ...options }: WebConnectOptions): SpoolClient {
  const { href, protocol } = new URL(url);
  if (!/^https?:$/.test(protocol)) throw new TypeError("url: must begin with http:// or https://");
  const authorize: Interceptor = (next) => async (request) => {
    const bearer = typeof token === "function" ? await token() : token;
    if (bearer !== undefined) request.header.set("authorization", `Bearer ${bearer}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: href.replace(/\/$/, ""),
    useBinaryFormat: true,
    interceptors: [authorize],
    ...(fetch !== undefined && { fetch }),
  });
  return createCaller(callsOverConnect(transport, href), options);
}
