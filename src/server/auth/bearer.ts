import { hash } from "node:crypto";
import { Unauthenticated } from "../../domain/errors.ts";
import type { Identity } from "../../rpc/call/identity.ts";

/** A bearer token of a call. */
export interface PresentedToken {
  readonly text: string;
  /** As of `digestToken`. */
  readonly digest: string;
}

/** Knows tokens of one type. */
export interface TokenSource {
  /**
   * Returns the caller with a token; null: the token is not of this source. A promise is for tokens that no other source
   * can have: the caller of the source refuses the token if the promise resolves to null.
   *
   * @throws Unauthenticated
   */
  find(token: PresentedToken): Identity | Promise<Identity | null> | null;
}

/**
 * Returns the token of an authorization header (RFC 6750).
 *
 * @throws Unauthenticated if the header has another scheme
 */
export function presentedToken(authorization: string): PresentedToken {
  const scheme = /^Bearer +/i.exec(authorization)?.[0];
  if (scheme === undefined) throw new Unauthenticated("wrong");
  const text = authorization.slice(scheme.length).trimEnd(); // A pattern of the whole text would take longer than the hash.
  return { text, digest: digestToken(text) };
}

/**
 * Returns the SHA-256 of a token, as base64url. Tokens are compared by their digests, because the time that it takes then
 * reveals nothing about a token.
 */
export function digestToken(token: string): string {
  return hash("sha256", token, "base64url");
}
