import { timingSafeEqual } from "node:crypto";
import { Unauthenticated } from "../../domain/errors.ts";
import { ALL_GRANTS } from "../../domain/principal.ts";
import { lastingIdentity } from "../../rpc/call/identity.ts";
import type { Authenticator } from "../../rpc/call/identity.ts";
import { bearerToken, digestToken } from "./bearer.ts";

/** The name of callers with the token of the server's settings. */
export const ROOT = "root";

/** Admits callers with one token, SPOOL_TOKEN, with all rights. */
export function sharedToken(token: string): Authenticator {
  const expected = digestToken(token);
  const identity = lastingIdentity({ ...ALL_GRANTS, name: ROOT });
  return {
    isRequired: true,
    authenticate({ authorization }) {
      if (authorization === undefined) throw new Unauthenticated("missing");
      const given = bearerToken(authorization);
      if (given === undefined || !timingSafeEqual(digestToken(given), expected)) throw new Unauthenticated("wrong");
      return identity;
    },
  };
}
