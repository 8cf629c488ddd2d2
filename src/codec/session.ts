import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SessionState } from "../domain/session.ts";
import { SessionSchema } from "../gen/spool/v1/worker_service_pb.ts";
import type { Session as SessionMessage } from "../gen/spool/v1/worker_service_pb.ts";
import { readTime } from "./timestamp.ts";

export function toSessionMessage({ kinds, startedAt, seenAt, expiresAt, ...session }: SessionState): SessionMessage {
  return create(SessionSchema, {
    ...session,
    kinds: [...kinds],
    startedAt: timestampFromDate(startedAt),
    seenAt: timestampFromDate(seenAt),
    expiresAt: timestampFromDate(expiresAt),
  });
}

/** @throws SpoolRpcError (DATA_LOSS) if a time is missing */
export function fromSessionMessage(message: SessionMessage): SessionState {
  const { sessionId, host, pid, kinds, capacity, running, isWorker } = message;
  return {
    sessionId,
    host,
    pid,
    kinds,
    capacity,
    running,
    startedAt: readTime(message.startedAt, "started_at"),
    seenAt: readTime(message.seenAt, "seen_at"),
    expiresAt: readTime(message.expiresAt, "expires_at"),
    isWorker,
  };
}
