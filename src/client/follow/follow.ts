import { pause } from "../../async/pause.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { retryBudget } from "../retry.ts";
import { TapeCursor } from "./tape-cursor.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Frame } from "../types.ts";

/** Reports that a follower has lost its connection, or has resumed. */
export type ReconnectNotice =
  | { state: "lost"; error: SpoolRpcError; nextFromSeq: bigint; retryInMs: number }
  | { state: "resumed"; nextFromSeq: bigint };

/** Opens one stream of a tape. It ends after `final` or past the end of a finished tape; otherwise it throws. */
export type OpenStream = (fromSeq: bigint) => AsyncIterable<Frame>;

/**
 * Follows a tape and reconnects after failures: every event comes once and in order. Ends after `final`; if fromSeq is
 * past the end of a finished tape, ends at once.
 *
 * Progress is an event or a heartbeat. The first frame of a stream is not progress, because a server may send one and
 * crash, again and again.
 *
 * @throws errors that a retry does not solve, at once; DATA_LOSS if a server repeats or skips events; the last error
 *   after `retryMs` without progress
 */
export async function* followFrames(
  openStream: OpenStream,
  {
    taskId,
    fromSeq,
    retryMs,
    onReconnect,
    signal,
  }: {
    taskId: string;
    fromSeq: bigint;
    retryMs: number;
    onReconnect?: ((notice: ReconnectNotice) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): AsyncGenerator<Frame, void, undefined> {
  const cursor = new TapeCursor(taskId, fromSeq);
  const budget = retryBudget(retryMs);
  let lost = false;
  for (;;) {
    let last: Frame | null = null;
    try {
      for await (const frame of openStream(cursor.nextSeq)) {
        const isOver = cursor.final !== null;
        cursor.take(frame.events, frame.lastSeq);
        if (isOver) return; // A heartbeat after final: this server would keep the stream open forever.
        if (lost) onReconnect?.({ state: "resumed", nextFromSeq: cursor.nextSeq });
        lost = false;
        if (last !== null || frame.events.length > 0) budget.succeeded();
        last = frame;
        yield frame;
        // After final, the stream is still read to its end: leaving it would reset it, and a connection on which a
        // thousand streams are reset in a burst counts as an attack.
      }
      assertEnded(cursor, last);
      return;
    } catch (error) {
      // After final, only a tape that continues is an error. A broken connection is not.
      if (cursor.final && (error as SpoolRpcError).code !== "DATA_LOSS") return;
      const retryInMs = budget.nextDelayMs(error);
      if (retryInMs === null) throw error;
      lost = true;
      onReconnect?.({ state: "lost", error: error as SpoolRpcError, nextFromSeq: cursor.nextSeq, retryInMs });
      await pause(retryInMs, signal);
    }
  }
}

/** A stream may end without `final` only if the reader started past the end of a finished tape. */
function assertEnded(cursor: TapeCursor, last: Frame | null): void {
  if (cursor.final) return;
  const finished = last !== null && isTerminal(last.status) && last.lastSeq < cursor.nextSeq;
  if (!finished || cursor.read > 0) {
    throw cursor.broken(`the stream ended without final before event ${cursor.nextSeq}`);
  }
}
