import { randomUUID } from "node:crypto";
import type { NewSession } from "../../src/store/session-queries.ts";

/** A server's session as it opens itself, unless said otherwise. */
export function newSession(session: { namespace: string } & Partial<NewSession>): NewSession {
  const whose = { host: "host", pid: 7, tokenDigest: null };
  return { sessionId: randomUUID(), kinds: [], capacity: 0, leaseMs: 60_000, ...whose, ...session };
}
