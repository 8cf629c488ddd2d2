import type { Authenticator, Identity } from "../../rpc/call/identity.ts";
import type { ConsoleSessions } from "./console/console-sessions.ts";
import type { HttpRequest } from "./http-server.ts";

/** Finds out who sends a request. Never rejects. */
export type Identify = (request: HttpRequest) => Promise<{ identity: Identity } | { refusal: unknown }>;

/**
 * Returns a function that authenticates HTTP requests: by their authorization header, or without one by the session of
 * the console.
 */
export function identifier(authenticator: Authenticator, sessions: ConsoleSessions): Identify {
  return async (request) => {
    try {
      const session = sessions.read(request);
      const authorization = session === null ? request.headers.authorization : `Bearer ${session.token}`;
      const identity = await authenticator.authenticate({ authorization, certificate: null });
      return { identity: session === null ? identity : sessions.bounded(identity, session) };
    } catch (refusal) {
      return { refusal };
    }
  };
}
