import type { Authenticator, Identity } from "../../rpc/call/identity.ts";
import type { ConsoleSessions } from "./console/console-sessions.ts";
import type { HttpRequest } from "./http-server.ts";
import { peerCertificate } from "./peer-certificate.ts";

/** Finds out who sends a request. Never rejects. */
export type Identify = (request: HttpRequest) => Promise<{ identity: Identity } | { refusal: unknown }>;

/**
 * Returns a function that authenticates HTTP requests: by their authorization header or client certificate, or without
 * a header by the session of the console.
 */
export function identifier(authenticator: Authenticator, sessions: ConsoleSessions): Identify {
  return async (request) => {
    try {
      const session = sessions.read(request);
      const identity = await authenticator.authenticate({
        authorization: session === null ? request.headers.authorization : `Bearer ${session.token}`,
        get certificate() {
          return peerCertificate(request);
        },
      });
      return { identity: session === null ? identity : sessions.bounded(identity, session) };
    } catch (refusal) {
      return { refusal };
    }
  };
}
