import { isTerminal } from "../../domain/task.ts";
import type { TaskStatus } from "../../domain/task.ts";
import type { TapePage } from "../api/task-engine.ts";

interface TapeState {
  lastSeq: bigint;
  status: TaskStatus | null;
}

/**
 * Whether a reader may get a page that was made for another reader. The page must be no older than what the reader has
 * seen. It must also show the current tape, or have more events behind it, so that the reader reads on.
 *
 * @param seenSeq the last_seq that the reader has seen or must see
 * @param state the current state of the tape; if it is left out, a page is current only if the task has ended
 */
export function isReusable(page: TapePage, seenSeq: bigint, state?: TapeState): boolean {
  return page.lastSeq >= seenSeq && (page.hasMore || isCurrent(page, state));
}

function isCurrent(page: TapePage, state?: TapeState): boolean {
  if (state === undefined) return isTerminal(page.status);
  return page.lastSeq === state.lastSeq && page.status === state.status;
}
