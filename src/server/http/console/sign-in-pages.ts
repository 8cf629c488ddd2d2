import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { SpoolError, Unauthenticated } from "../../../domain/errors.ts";
import type { Authenticator } from "../../../rpc/call/identity.ts";
import { readQuery } from "../http-query.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "../http-server.ts";
import { hostOf, isSecure } from "../page-origin.ts";
import type { ConsoleSessions } from "./console-sessions.ts";
import { BrowserValue } from "./cookies.ts";
import { SignInFailed } from "./identity-provider.ts";
import type { BegunSignIn, IdentityProvider } from "./identity-provider.ts";
import type { Seal } from "./seal.ts";

const PURPOSE = "sign-in";
const COOKIE = new BrowserValue("spool-sign-in");
/** How long a person may take at the provider. */
const SIGN_IN_SECONDS = 600;

interface SignInPagesOptions {
  provider: IdentityProvider;
  authenticator: Authenticator;
  sessions: ConsoleSessions;
  seal: Seal;
  /** Other origins under which browsers know this server. */
  origins: readonly string[];
  log: Logger;
}

/**
 * Returns the pages of a sign-in at an identity provider, by path. `/console/login?page=URL` sends the browser to the
 * provider, and the provider sends it back to `/console/callback`, which begins a session and returns to the page.
 */
export function signInPages(options: SignInPagesOptions): Map<string, HttpHandler> {
  const { provider, authenticator, sessions, seal, origins, log } = options;
  return new Map([
    ["/console/login", page(login)],
    ["/console/callback", page(callback)],
  ]);

  function page(answer: (request: HttpRequest, response: HttpResponse) => Promise<void>): HttpHandler {
    return (request, response) => {
      if (request.method !== "GET") {
        response.writeHead(405, { allow: "GET" });
        return void response.end();
      }
      answer(request, response).catch((error: unknown) => {
        log.warn({ err: error }, "console: sign-in failed");
        const isKnown = error instanceof SignInFailed || error instanceof SpoolError;
        sendProblem(response, isKnown ? error.message : "The server failed. Its log has the error.");
      });
    };
  }

  async function login(request: HttpRequest, response: HttpResponse): Promise<void> {
    const { location, begun } = await provider.begin(pageOf(request, origins));
    const sealed = seal.seal(PURPOSE, JSON.stringify({ ...begun, endsAtMs: Date.now() + SIGN_IN_SECONDS * 1_000 }));
    // The provider's redirect comes from another site, so the cookie cannot be Strict.
    const cookies = COOKIE.write(request, sealed, {
      isSecure: begun.page.startsWith("https:"),
      sameSite: "Lax",
      maxAgeSeconds: SIGN_IN_SECONDS,
    });
    if (cookies === null) throw new SignInFailed("The URL of the page is too long.");
    redirect(response, location.href, cookies);
  }

  async function callback(request: HttpRequest, response: HttpResponse): Promise<void> {
    const begun = readBegun(request);
    const tokens = await provider.finish(begun, readQuery(request).toString());
    const token = await firstAdmitted(tokens);
    const session = sessions.begin(request, { token, isSecure: begun.page.startsWith("https:") });
    if (session === null) {
      const size = `The token of the identity provider has ${token.length} characters, too many for a cookie.`;
      throw new SignInFailed(`${size} Configure the provider to put fewer claims, such as groups, into it.`);
    }
    redirect(response, begun.page, [...COOKIE.clear(request), ...session.cookies]);
  }

  function readBegun(request: HttpRequest): BegunSignIn {
    const text = seal.open(PURPOSE, COOKIE.read(request) ?? "");
    const begun = text === null ? null : (JSON.parse(text) as BegunSignIn & { endsAtMs: number });
    if (begun !== null && begun.endsAtMs > Date.now()) return begun;
    const why = "This sign-in was not begun in this browser at this server, or more than 10 minutes ago.";
    throw new SignInFailed(`${why} Sign in again.`);
  }

  /** Returns the first token that gives any rights. @throws SignInFailed with what is wrong with the last one */
  async function firstAdmitted(tokens: readonly string[]): Promise<string> {
    let refusal: unknown;
    for (const token of tokens) {
      try {
        const credentials = { authorization: `Bearer ${token}`, certificate: null };
        const { principal } = await authenticator.authenticate(credentials);
        // The scopes of an access token narrow its rights, and those for a profile leave none.
        if (principal.scopes.length === 0) throw new Unauthenticated("wrong");
        log.info({ principal: principal.name }, "console: signed in");
        return token;
      } catch (error) {
        refusal = error;
      }
    }
    if (!(refusal instanceof SpoolError)) throw refusal;
    const todo = "An operator can change the rules for this issuer in SPOOL_ACCESS_FILE.";
    const what = `You are signed in at ${provider.host}, but this server does not accept its token`;
    throw new SignInFailed(`${what}: ${refusal.message}. ${todo}`, { cause: refusal });
  }
}

/** Returns the page that a sign-in returns to: the one of the query, or the server's own. @throws SignInFailed */
function pageOf(request: HttpRequest, origins: readonly string[]): URL {
  const host = hostOf(request);
  const own = `${isSecure(request) ? "https" : "http"}://${host}/`;
  const page = URL.parse(readQuery(request).get("page") ?? own);
  const isWeb = page?.protocol === "https:" || page?.protocol === "http:";
  if (isWeb && (page.host === URL.parse(`${page.protocol}//${host}`)?.host || origins.includes(page.origin)))
    return page;
  throw new SignInFailed("The page to return to is not of this server: make the proxy forward Host.");
}

function redirect(response: HttpResponse, location: string, cookies: readonly string[]): void {
  response.writeHead(302, { location, "set-cookie": [...cookies], "cache-control": "no-store" });
  response.end();
}

const STYLE = "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }";
const STYLE_DIGEST = createHash("sha256").update(STYLE).digest("base64");

/** Sends a page that says why a sign-in has failed. The message may have text of the provider. */
function sendProblem(response: HttpResponse, message: string): void {
  const shown = message.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  response.writeHead(400, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_DIGEST}'; frame-ancestors 'none'`,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  response.end(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign-in failed · Spool</title><style>${STYLE}</style></head>
<body><main><h1>Sign-in failed</h1><p>${shown}</p><p><a href="../">Back to the console</a></p></main></body>
</html>
`);
}
