import { abortable } from "../../async/abort.ts";
import { pause } from "../../async/pause.ts";
import { timeLimit } from "../../async/time-limit.ts";
import { PAGE_EVENTS_MAX } from "../../domain/limits.ts";
import { recognizeCopies } from "../../domain/recognize-copies.ts";
import { RETRY_MS_DEFAULT, withRetries } from "../retry.ts";
import { TapeCursor } from "./tape-cursor.ts";
import type { EventPage, FinalEvent, SpoolEvent } from "../types.ts";

/** Reads one page of a tape, without retries. */
export type GetEvents = (
  request: { taskId: string; fromSeq: bigint; limit: number; waitMs: number },
  options: { signal: AbortSignal },
) => Promise<EventPage>;

/** How long one call waits at the server, in ms: less than the timeout of a minute that proxies often have. */
const WAIT_MS = 20_000;
/**
 * The pause after an empty page that came without a wait. It doubles, so that such a server is not flooded with calls.
 */
const IDLE_MS_MIN = 25;
const IDLE_MS_MAX = 1_000;

/** The task had no `final` in time, and may still be running. The message says what was seen last. */
export class WaitTimeout extends Error {
  readonly taskId: string;
  readonly timeoutMs: number;
  /** The last event that was read; null: none. */
  readonly lastEvent: SpoolEvent | null;

  constructor({ taskId, timeoutMs, seen }: { taskId: string; timeoutMs: number; seen: Seen }) {
    super(`task ${taskId} has no final after ${timeoutMs} ms: ${describe(seen)}`, { cause: seen.error });
    this.name = "WaitTimeout";
    this.taskId = taskId;
    this.timeoutMs = timeoutMs;
    this.lastEvent = seen.event;
  }
}
recognizeCopies(WaitTimeout, "WaitTimeout");

/** The last state that the waiter saw, for the message of a timeout. */
interface Seen {
  event: SpoolEvent | null;
  page: EventPage | null;
  /** The last transient error since the last page. */
  error: unknown;
}

/**
 * Waits until the last event of a task's tape is `final`, and returns it, also for a failed task. Only the tape counts:
 * a terminal status or `has_more: false` does not end the wait. Retries an unreachable server for up to `retryMs`.
 *
 * @param timeoutMs in ms; more than 24 days, Infinity included: no limit
 * @throws WaitTimeout after `timeoutMs`, with the last state seen; SpoolRpcError at once if the server rejects the
 *   call; DATA_LOSS for a tape with a gap, a repeat or an event after `final`
 */
export async function waitFinal(
  getEvents: GetEvents,
  {
    taskId,
    timeoutMs,
    retryMs = RETRY_MS_DEFAULT,
    signal,
  }: { taskId: string; timeoutMs: number; retryMs?: number | undefined; signal?: AbortSignal | undefined },
): Promise<FinalEvent> {
  using limit = timeLimit(timeoutMs, signal);
  const seen: Seen = { event: null, page: null, error: undefined };
  try {
    return await readToFinal(getEvents, { taskId, retryMs, seen, signal: limit.signal });
  } catch (error) {
    throw error === limit.reason ? new WaitTimeout({ taskId, timeoutMs, seen }) : error;
  }
}

async function readToFinal(
  getEvents: GetEvents,
  { taskId, retryMs, seen, signal }: { taskId: string; retryMs: number; seen: Seen; signal: AbortSignal },
): Promise<FinalEvent> {
  const cursor = new TapeCursor(taskId, 1n);
  let idleMs = IDLE_MS_MIN;
  for (;;) {
    let askedAt = 0;
    const request = { taskId, fromSeq: cursor.nextSeq, limit: PAGE_EVENTS_MAX, waitMs: WAIT_MS };
    const ask = () => {
      signal.throwIfAborted();
      askedAt = performance.now();
      return abortable(getEvents(request, { signal }), signal);
    };
    const onFailure = (error: unknown) => (seen.error = error);
    const page = await withRetries(ask, { retryMs, signal, onFailure });
    cursor.take(page.events, page.lastSeq);
    seen.event = page.events.at(-1) ?? seen.event;
    seen.page = page;
    seen.error = undefined;
    if (cursor.final) return cursor.final;
    if (page.events.length > 0) {
      idleMs = IDLE_MS_MIN;
    } else if (performance.now() - askedAt < IDLE_MS_MAX) {
      await pause(idleMs, signal);
      idleMs = Math.min(IDLE_MS_MAX, idleMs * 2);
    }
  }
}

function describe({ event, page, error }: Seen): string {
  if (!page) return error instanceof Error ? `no answer, only ${error.message}` : "no answer";
  const last = event ? `the last event is ${event.seq} ${event.type}${detail(event)}` : "there is no event";
  const tape = `${last}, of ${page.lastSeq}; the status is ${page.status}`;
  return error instanceof Error ? `${tape}; and then ${error.message}` : tape;
}

function detail(event: SpoolEvent): string {
  if (event.type === "progress") return ` (${event.phase} ${event.current}/${event.total})`;
  return event.type === "log" ? ` (${event.level} ${event.message})` : "";
}
