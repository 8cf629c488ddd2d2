import type { Unauthenticated } from "../../domain/errors.ts";
import { ALL_GRANTS } from "../../domain/principal.ts";
import type { Principal } from "../../domain/principal.ts";
import type { Limits } from "../../domain/tenant-limits.ts";

/** The credentials of a call. */
export interface Credentials {
  /** The authorization header. */
  authorization: string | undefined;
  /** The verified certificate of the client. null: the client has presented none. */
  certificate: ClientCertificate | null;
}

/** The names in a verified client certificate. */
export interface ClientCertificate {
  /** The subject's common name; empty: none. */
  commonName: string;
  /** The subject alternative names, such as `URI:spiffe://example.org/ingest` and `DNS:ingest`. */
  alternativeNames: readonly string[];
}

/** An authenticated caller, for as long as its credential is valid. */
export interface Identity {
  readonly principal: Principal;
  /** The limits of all calls with this credential together. */
  readonly limits?: Limits;
  /** When the credential expires. null or left out: never, or it is not known. */
  readonly expiresAt?: Date | null;
  /**
   * Calls the listener when the credential expires or is revoked, or at once if it has.
   *
   * @returns a function that removes the listener
   */
  onInvalid(listener: (reason: Unauthenticated) => void): () => void;
}

/** Decides who calls. */
export interface Authenticator {
  /** Whether a call without a credential is refused. If not, pages of unknown hosts are refused instead. */
  readonly isRequired: boolean;
  /**
   * Returns the caller. Credentials that were verified before are verified without waiting.
   *
   * @throws Unauthenticated
   */
  authenticate(credentials: Credentials): Identity | Promise<Identity>;
}

/** Returns the identity of a caller whose credential never becomes invalid. */
export function lastingIdentity(principal: Principal): Identity {
  return { principal, onInvalid: () => () => {} };
}

const ANYONE: Principal = { ...ALL_GRANTS, name: "anonymous" };
const EVERYONE = lastingIdentity(ANYONE);

/** Returns the name of a caller, for what is stored about its calls; null: its calls are not authenticated. */
export function callerName(identity: Identity | undefined): string | null {
  return identity === undefined || identity.principal === ANYONE ? null : identity.principal.name;
}

/** Admits every call, with all rights. For servers that only this machine can reach. */
export const OPEN: Authenticator = { isRequired: false, authenticate: () => EVERYONE };
