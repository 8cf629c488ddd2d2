import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { readConnectError } from "../codec/connect-error.ts";
import { SpoolRpcError } from "../codec/rpc-error.ts";
import { isTransient } from "../client/errors.ts";
import { withRetries } from "../client/retry.ts";
import { AdminService } from "../gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../gen/spool/v1/worker_service_pb.ts";
import { chosenNamespace } from "./access/namespace.ts";
import { readSession } from "./access/session.ts";
import { connection } from "./connection.ts";
import { originRefusal } from "./origin-refusal.ts";
import { setServerTime } from "./parts/clock.ts";

const transport = createConnectTransport({
  // Relative to the path of the page.
  baseUrl: new URL(".", location.href).href.replace(/\/$/, ""),
  useBinaryFormat: true,
  interceptors: [
    (next) => async (request) => {
      if (request.stream) return next(request); // Streams have their own time limits.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), ANSWER_MS);
      try {
        return await next({ ...request, signal: AbortSignal.any([request.signal, late.signal]) });
      } finally {
        clearTimeout(timer);
      }
    },
    (next) => async (request) => {
      if (chosenNamespace !== null) request.header.set("spool-namespace", chosenNamespace);
      const response = await next(request);
      setServerTime(response.header.get("date"));
      return response;
    },
  ],
});

export const taskCalls = createClient(TaskService, transport);
export const workerCalls = createClient(WorkerService, transport);
export const adminCalls = createClient(AdminService, transport);

/** The heartbeat interval of streams. */
export const HEARTBEAT_MS = 5_000;
/** After this time without a frame, a stream counts as lost, even if its connection is open. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
/**
 * How long the first frame may take; servers send it at once. A browser may send the call over a dead idle connection.
 * Ending the call closes that connection, and the next call uses another.
 */
const OPENING_MS = HEARTBEAT_MS;
/** How long an answer may take. The slowest, activity over many hours, takes seconds. */
const ANSWER_MS = SILENCE_MS;

/** Returns the answer of a call. @throws SpoolRpcError, or the signal's reason if the signal has fired */
export async function answered<Answer>(call: Promise<Answer>, signal?: AbortSignal): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    signal?.throwIfAborted();
    throw toRpcError(error);
  }
}

/**
 * Returns the answer of a call, and retries while the server is unreachable. Meanwhile the page shows a lost
 * connection.
 *
 * @throws SpoolRpcError if a retry would not help, or the signal's reason if the signal has fired
 */
export function answeredAtLast<Answer>(call: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const attempt = async () => {
    try {
      const answer = await answered(call(), signal);
      connection.value = "live";
      return answer;
    } catch (error) {
      if (isTransient(error) && !signal.aborted) connection.value = "lost";
      throw error;
    }
  };
  return withRetries(attempt, { retryMs: Infinity, signal });
}

/**
 * Yields the frames of a stream. Stopping early ends the call.
 *
 * @throws SpoolRpcError, with UNAVAILABLE if no frame comes within OPENING_MS at first or within SILENCE_MS later; or
 *   the signal's reason if the signal has fired
 */
export async function* streamed<Frame>(
  open: (signal: AbortSignal) => AsyncIterable<Frame>,
  signal: AbortSignal,
): AsyncGenerator<Frame, void, undefined> {
  const over = new AbortController();
  const watch = (ms: number) => setTimeout(() => over.abort(), ms);
  let timer = watch(OPENING_MS);
  try {
    for await (const frame of open(AbortSignal.any([signal, over.signal]))) {
      clearTimeout(timer); // A slow consumer of a frame does not make the server silent.
      yield frame;
      timer = watch(SILENCE_MS);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw over.signal.aborted ? new SpoolRpcError("UNAVAILABLE", "the server sent nothing") : toRpcError(error);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Converts an error of Connect, and records what the page shows of it. */
function toRpcError(error: unknown): SpoolRpcError {
  const failure = readConnectError(error);
  if (failure.code === "UNAUTHENTICATED") void readSession(); // If the session has ended, the page asks to sign in.
  if (failure.reason === "ORIGIN_REFUSED") originRefusal.value = failure;
  return failure;
}
