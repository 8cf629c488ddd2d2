import type { Logger } from "pino";
import { within } from "../../../async/time-limit.ts";
import { OriginRefused, SpoolError } from "../../../domain/errors.ts";
import type { Principal } from "../../../domain/principal.ts";
import type { Authenticator } from "../../../rpc/call/identity.ts";
import { toConnectError } from "../../../rpc/connect/connect-binding.ts";
import { closeAfter, sendError, sendJson } from "../http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "../http-server.ts";
import type { Identify } from "../identify.ts";
import { isOfOwnPage, isSecure } from "../page-origin.ts";
import { invalid, readJsonObject, requireOnlyField } from "../small-body.ts";
import type { ConsoleSession, ConsoleSessions } from "./console-sessions.ts";

const BODY = { bytesMax: 16 * 1_024, example: '{"token": "…"}' };
const METHODS = "GET, POST, DELETE";

interface SessionResourceOptions {
  authenticator: Authenticator;
  sessions: ConsoleSessions;
  identify: Identify;
  defaultNamespace: string;
  /** The host of the identity provider at which people can sign in; null: none. */
  provider: string | null;
  requestTimeoutMs: number;
  log: Logger;
}

/**
 * Returns the resource `/console/session`. GET returns who the caller is and what it may do, POST signs in with
 * `{"token": "…"}`, and DELETE signs out. The answers have no secret.
 */
export function sessionResource(options: SessionResourceOptions): HttpHandler {
  const { authenticator, sessions, identify, requestTimeoutMs, log } = options;
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (error instanceof SpoolError) {
        closeAfter(request, response);
        return sendError(response, toConnectError(error, log));
      }
      log.debug({ err: error }, "http: response not written");
      response.destroy();
    });
  };

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    switch (request.method) {
      case "GET":
        return sendState(response, await readState(request));
      case "POST":
        requireOwnPage(request);
        return signIn(request, response);
      case "DELETE":
        requireOwnPage(request);
        response.setHeader("set-cookie", sessions.end(request));
        response.writeHead(204);
        return void response.end();
      default:
        response.setHeader("allow", METHODS);
        return sendError(response, toConnectError(invalid("method", `must be one of ${METHODS}`), log), 405);
    }
  }

  async function readState(request: HttpRequest): Promise<State> {
    const caller = await identify(request);
    if ("identity" in caller) return { principal: caller.identity.principal, session: sessions.read(request) };
    const { refusal } = caller;
    if (!(refusal instanceof SpoolError) || refusal.reason !== "UNAUTHENTICATED") throw refusal;
    return { problem: refusal.metadata["token"]! };
  }

  async function signIn(request: HttpRequest, response: HttpResponse): Promise<void> {
    const body = await within(readJsonObject(request, BODY), requestTimeoutMs);
    if (body === undefined) {
      throw new SpoolError("CALL_DEADLINE_EXCEEDED", `the request must arrive within ${requestTimeoutMs} ms`);
    }
    const token = parseToken(body);
    const { principal } = await authenticator.authenticate({ authorization: `Bearer ${token}`, certificate: null });
    const begun = sessions.begin(request, { token, isSecure: isSecure(request) });
    if (begun === null) throw invalid("token", "is too long for a cookie");
    response.setHeader("set-cookie", begun.cookies);
    log.info({ principal: principal.name }, "console: signed in");
    sendState(response, { principal, session: begun.session });
  }

  function sendState(response: HttpResponse, state: State): void {
    const { defaultNamespace, provider } = options;
    const signIn = { token: authenticator.isRequired, provider };
    const shown =
      "problem" in state
        ? { caller: null, problem: state.problem }
        : { caller: { ...rightsOf(state.principal), defaultNamespace }, expiresAt: state.session?.endsAt ?? null };
    sendJson(response, 200, JSON.stringify({ ...shown, signIn }));
  }
}

/** Who calls, or why the caller is unknown. */
type State = { principal: Principal; session: ConsoleSession | null } | { problem: string };

function rightsOf({ name, scopes, namespaces, kinds, labels }: Principal) {
  return { name, scopes, namespaces, kinds, labels };
}

/** @throws OriginRefused */
function requireOwnPage(request: HttpRequest): void {
  if (isOfOwnPage(request)) return;
  const { host = "", origin = "" } = request.headers;
  const what = "only a page of this server can sign in and out";
  throw new OriginRefused(`${what}: make the proxy forward Host`, { host, origin });
}

/** @throws InvalidArgument */
function parseToken(fields: Readonly<Record<string, unknown>>): string {
  requireOnlyField(fields, "token");
  const { token } = fields;
  if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
  throw invalid("token", "must be visible ASCII characters, without spaces");
}
