import { Unauthenticated } from "../../src/domain/errors.ts";
import type { CredentialProblem } from "../../src/domain/errors.ts";
import type { Principal } from "../../src/domain/principal.ts";
import { lastingIdentity } from "../../src/rpc/call/identity.ts";
import type { Authenticator, Identity } from "../../src/rpc/call/identity.ts";

/** The state of a credential. */
export type CredentialState = "valid" | Exclude<CredentialProblem, "missing">;

/** Makes credentials that a server accepts, or once accepted. */
export interface Credentials {
  /** Decides who calls, for the listeners of the server. */
  readonly authenticator: Authenticator;
  /** Returns the authorization header of a caller with these rights. */
  issue(principal: Principal, state: CredentialState): string;
}

/** Opens a source of credentials that keeps them in memory. */
export function memoryCredentials(): Credentials {
  const known = new Map<string, Identity | CredentialState>();
  return {
    issue(principal, state) {
      const header = `Bearer ${crypto.randomUUID()}`;
      if (state !== "wrong") known.set(header, state === "valid" ? lastingIdentity(principal) : state);
      return header;
    },
    authenticator: {
      isRequired: true,
      authenticate({ authorization }) {
        if (authorization === undefined) throw new Unauthenticated("missing");
        const found = known.get(authorization) ?? "wrong";
        if (typeof found === "string") throw new Unauthenticated(found as CredentialProblem);
        return found;
      },
    },
  };
}
