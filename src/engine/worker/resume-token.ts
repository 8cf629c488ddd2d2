import { createHash, randomBytes } from "node:crypto";

// A resume token is `session id.secret`. The store has only a digest of the secret; a session's id is not secret.

const TOKEN = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;

export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Returns the id of the session that a token resumes; null if the token is malformed. */
export function sessionOf(token: string | null): string | null {
  return TOKEN.exec(token ?? "")?.[1] ?? null;
}

/** Returns the SHA-256 digest of a token's secret, in hex. @param token a resume token, or only its secret */
export function digestOf(token: string): string {
  const secret = TOKEN.exec(token)?.[2] ?? token;
  return createHash("sha256").update(secret).digest("hex");
}
