import { createConnectTransport } from "@connectrpc/connect-web";
import type { Interceptor } from "@connectrpc/connect";
import { abortable } from "../async/abort.ts";
import { SpoolRpcError } from "../codec/rpc-error.ts";
import { createCaller } from "./caller.ts";
import type { CallerOptions, SpoolClient } from "./spool-client.ts";
import { callsOverConnect } from "./transport/connect-calls.ts";
import { checkNamespace, NAMESPACE_HEADER } from "./transport/namespace.ts";
import { checkToken } from "./transport/token.ts";

export * from "./caller-exports.ts";

export interface WebConnectOptions extends CallerOptions {
  /** URL of the HTTP endpoint, with the path before it if a proxy adds one: `https://spool.example.com/tasks`. */
  url: string | URL;
  /**
   * Bearer token, sent with every call, or a function that returns the token for a call. If the function throws, the
   * call fails as UNAUTHENTICATED, and the client does not repeat it. Default: none.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Namespace of all calls. Default: the only one that the token may use, else that of the server's settings. */
  namespace?: string | undefined;
  /** Replaces the `fetch` of the runtime. */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Creates a client for browsers and edge runtimes. It speaks Connect over `fetch`, so a server must allow the page's
 * origin (`SPOOL_HTTP_ORIGINS`) unless the page comes from the same origin. It has the same calls and promises as the
 * client over gRPC, but no workers.
 *
 * @throws TypeError for a token that is not printable ASCII, for a malformed namespace, and for a URL that is not one of http or https, or that
 *   has a user, a query or a fragment
 */
export function connect({ url, token, namespace, fetch, ...options }: WebConnectOptions): SpoolClient {
  const href = readUrl(url);
  if (typeof token !== "function") checkToken(token);
  checkNamespace(namespace);
  const authorize: Interceptor = (next) => async (request) => {
    const bearer = typeof token === "function" ? await askToken(token, request.signal) : token;
    if (bearer !== undefined) request.header.set("authorization", `Bearer ${bearer}`);
    if (namespace !== undefined) request.header.set(NAMESPACE_HEADER, namespace);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: href,
    useBinaryFormat: true,
    interceptors: [authorize],
    ...(fetch !== undefined && { fetch }),
  });
  return createCaller(callsOverConnect(transport, href), options);
}

/** Returns the URL without a slash at its end. @throws TypeError */
function readUrl(url: string | URL): string {
  if (!/^https?:\/\//i.test(String(url)) || !URL.canParse(String(url))) {
    throw new TypeError("url: must begin with http:// or https://");
  }
  const { username, password, search, hash, origin, pathname } = new URL(url);
  // A method's path follows the URL, and fetch refuses a URL with a user.
  if (`${username}${password}${search}${hash}` !== "") {
    throw new TypeError("url: must have no user, query or fragment");
  }
  return `${origin}${pathname}`.replace(/\/+$/, "");
}

/** Asks the caller's function for a token. @throws SpoolRpcError UNAUTHENTICATED if the function throws */
async function askToken(token: () => string | Promise<string>, signal: AbortSignal): Promise<string> {
  try {
    const bearer = await abortable((async () => token())(), signal);
    checkToken(bearer);
    return bearer;
  } catch (error) {
    signal.throwIfAborted();
    const text = error instanceof Error ? error.message : String(error);
    throw new SpoolRpcError("UNAUTHENTICATED", `no token for the call: ${text}`, {}, { cause: error });
  }
}
