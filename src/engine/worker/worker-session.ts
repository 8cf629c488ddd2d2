import type { KindOffer } from "../../domain/session.ts";
import type { RunnerSurroundings } from "../cluster/runner.ts";
import { Session } from "../cluster/session.ts";
import type { WorkerHello } from "../api/worker-protocol.ts";
import { digestOf, newSecret, sessionOf } from "./resume-token.ts";

export interface WorkerSession {
  session: Session;
  /** The token with which the worker can resume the session. */
  token: string;
  isResumed: boolean;
}

/** Resumes the session that the worker's token names, or opens a new session. @throws StoreUnavailable */
export async function openWorkerSession(
  hello: WorkerHello,
  {
    surroundings: { db, namespace, log },
    ...settings
  }: {
    surroundings: RunnerSurroundings;
    leaseMs: number;
    kinds: readonly KindOffer[];
    /** Whether the worker has sent something recently enough to renew its session. */
    mayRenew: () => boolean;
    onLost: () => void;
  },
): Promise<WorkerSession> {
  const { host, pid, capacity, resumeToken } = hello;
  const parts = { db, namespace, log, host, pid, capacity, ...settings };
  const sessionId = sessionOf(resumeToken);
  if (resumeToken !== null && sessionId !== null) {
    const session = await Session.resumeWorker(sessionId, { ...parts, tokenDigest: digestOf(resumeToken) });
    if (session !== undefined) return { session, token: resumeToken, isResumed: true };
  }
  const secret = newSecret();
  const session = await Session.openWorker({ ...parts, tokenDigest: digestOf(secret) });
  return { session, token: `${session.id}.${secret}`, isResumed: false };
}
