import { createHash, timingSafeEqual } from "node:crypto";

/**
 * Returns a function that checks an authorization header against a token (RFC 6750). Its duration reveals neither the
 * token nor its length.
 */
export function bearerTokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = sha256(token);
  return (authorization) => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    return given !== undefined && timingSafeEqual(sha256(given), expected);
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
