import { pause } from "../../async/pause.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { retryBudget } from "../retry.ts";
import { TapeCursor } from "./tape-cursor.ts";
import { isTerminal } from "../../domain/task.ts";
import type { Frame } from "../types.ts";

/** What a follower that lost its server is told, and what it is told when it is back. */
export type ReconnectNotice =
  | { state: "lost"; error: SpoolRpcError; nextFromSeq: bigint; retryInMs: number }
  | { state: "resumed"; nextFromSeq: bigint };

/** Opens one stream of a tape. It ends only after `final`, or past the end of a finished tape; else it throws. */
export type OpenStream = (fromSeq: bigint) => AsyncIterable<Frame>;

/**
 * Follows a tape over as many streams as it takes, each opened where the one before broke: every event once, in order.
 *
 * Ends after `final`, or at once when fromSeq is past the end of a finished tape. Throws at once what trying again
 * does not mend, DATA_LOSS for a server that repeats or skips, and the last error after `retryMs` without progress,
 * which is an event or a heartbeat. The first frame of a stream is no progress: a server may send that and die, again
 * and again.
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
        if (isOver) return; // A heartbeat after final: this server would keep the stream open for ever.
        if (lost) onReconnect?.({ state: "resumed", nextFromSeq: cursor.nextSeq });
        lost = false;
        if (last !== null || frame.events.length > 0) budget.succeeded();
        last = frame;
        yield frame;
        // After final the stream is read to its end all the same: to leave it would be to reset it, and a connection
        // on which a thousand streams are reset in a burst is taken for an attack.
      }
      assertEnded(cursor, last);
      return;
    } catch (error) {
      // With final in hand only a tape that goes on after it is an error; a broken connection is none.
      if (cursor.final && (error as SpoolRpcError).code !== "DATA_LOSS") return;
      const retryInMs = budget.nextDelayMs(error);
      if (retryInMs === null) throw error;
      lost = true;
      onReconnect?.({ state: "lost", error: error as SpoolRpcError, nextFromSeq: cursor.nextSeq, retryInMs });
      await pause(retryInMs, signal);
    }
  }
}

/** A stream that ends well without `final` is right only where the reader began past the end of a finished tape. */
function assertEnded(cursor: TapeCursor, last: Frame | null): void {
  if (cursor.final) return;
  const finished = last !== null && isTerminal(last.status) && last.lastSeq < cursor.nextSeq;
  if (!finished || cursor.read > 0) {
    throw cursor.broken(`the stream ended without final before event ${cursor.nextSeq}`);
  }
}
