import { isTerminal } from "../../domain/task.ts";
import type { TaskStatus } from "../../domain/task.ts";
import type { TapePage } from "../api/task-engine.ts";

interface TapeState {
  lastSeq: bigint;
  status: TaskStatus | null;
}

/**
 * Whether a reader may be given a page that was made for another reader: the page is no older than what the reader has
 * seen, and it shows the tape as it is, or there are more events behind it, so that the reader reads on.
 *
 * @param seenSeq the last_seq that the reader has been told of, or is to be
 * @param state the tape as it is; left out where that is not known: then a page is current if the task has ended
 */
export function isReusable(page: TapePage, seenSeq: bigint, state?: TapeState): boolean {
  return page.lastSeq >= seenSeq && (page.hasMore || isCurrent(page, state));
}

function isCurrent(page: TapePage, state?: TapeState): boolean {
  if (state === undefined) return isTerminal(page.status);
  return page.lastSeq === state.lastSeq && page.status === state.status;
}
