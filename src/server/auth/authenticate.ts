import { Unauthenticated } from "../../domain/errors.ts";
import type { Authenticator, ClientCertificate, Identity } from "../../rpc/call/identity.ts";
import { presentedToken } from "./bearer.ts";
import type { TokenSource } from "./bearer.ts";

/** Knows the callers with client certificates. */
export interface CertificateSource {
  /** @returns null: no rule matches the certificate */
  findCertificate(certificate: ClientCertificate): Identity | null;
}

/**
 * Admits callers with a credential that one of the sources knows. A token counts before a certificate.
 *
 * @param sources of tokens, in the order in which they are asked
 */
export function authenticateBy(
  sources: readonly TokenSource[],
  certificates: CertificateSource | null = null,
): Authenticator {
  return {
    isRequired: true,
    authenticate(credentials) {
      const { authorization } = credentials;
      if (authorization === undefined) {
        const identity = credentials.certificate && certificates?.findCertificate(credentials.certificate);
        if (identity) return identity;
        throw new Unauthenticated("missing");
      }
      const token = presentedToken(authorization);
      for (const source of sources) {
        const found = source.find(token);
        if (found instanceof Promise) return found.then(orRefuse);
        if (found !== null) return found;
      }
      throw new Unauthenticated("wrong");
    },
  };
}

/** @throws Unauthenticated */
function orRefuse(identity: Identity | null): Identity {
  if (identity === null) throw new Unauthenticated("wrong");
  return identity;
}
