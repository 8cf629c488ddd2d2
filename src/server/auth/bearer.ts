import { createHash } from "node:crypto";

/** Returns the token of an authorization header (RFC 6750). Undefined: the header is missing or has another scheme. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
}

/** Returns the SHA-256 of a token. Comparing digests reveals neither a token nor its length by the time it takes. */
export function digestToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
