import type { Authenticator, Identity } from "../../rpc/call/identity.ts";
import type { HttpRequest } from "./http-server.ts";

/** Finds out who sends a request. Never rejects. */
export type Identify = (request: HttpRequest) => Promise<{ identity: Identity } | { refusal: unknown }>;

/** Returns a function that authenticates HTTP requests. */
export function identifier(authenticator: Authenticator): Identify {
  return async ({ headers: { authorization } }) => {
    try {
      return { identity: await authenticator.authenticate({ authorization, certificate: null }) };
    } catch (refusal) {
      return { refusal };
    }
  };
}
