import { AnySchema } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { readErrorDetails, RPC_CODES, SpoolRpcError } from "../codec/rpc-error.ts";
import { isTransient } from "../client/errors.ts";
import { withRetries } from "../client/retry.ts";
import { TaskService } from "../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../gen/spool/v1/worker_service_pb.ts";
import { connection } from "./connection.ts";
import { originRefusal } from "./origin-refusal.ts";
import { setServerTime } from "./parts/clock.ts";
import { sessionToken, tokenRefused } from "./session-token.ts";

const transport = createConnectTransport({
  // Below whatever path the page was given at.
  baseUrl: new URL(".", location.href).href.replace(/\/$/, ""),
  useBinaryFormat: true,
  interceptors: [
    (next) => async (request) => {
      if (request.stream) return next(request); // Streams have bounds of their own.
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), ANSWER_MS);
      try {
        return await next({ ...request, signal: AbortSignal.any([request.signal, late.signal]) });
      } finally {
        clearTimeout(timer);
      }
    },
    (next) => async (request) => {
      const token = sessionToken.peek();
      if (token !== null) request.header.set("authorization", `Bearer ${token}`);
      const response = await next(request);
      setServerTime(response.header.get("date"));
      return response;
    },
  ],
});

export const taskCalls = createClient(TaskService, transport);
export const workerCalls = createClient(WorkerService, transport);

/** How often a quiet stream says that it lives. */
export const HEARTBEAT_MS = 5_000;
/** After so long without a frame a stream is taken for dead, whatever its connection says. */
const SILENCE_MS = 3 * HEARTBEAT_MS;
/**
 * A server sends the first frame at once. A browser may send the call over an idle connection that is dead: to end the
 * call closes that connection, and the next one finds another.
 */
const OPENING_MS = HEARTBEAT_MS;
/** So long an answer may take: the dearest, the figures of the last hours, take seconds. */
const ANSWER_MS = SILENCE_MS;

/** What a call answers. @throws SpoolRpcError, or the signal's reason where that has fired */
export async function answered<Answer>(call: Promise<Answer>, signal?: AbortSignal): Promise<Answer> {
  const token = sessionToken.peek();
  try {
    return await call;
  } catch (error) {
    signal?.throwIfAborted();
    throw toRpcError(error, token);
  }
}

/**
 * What a call answers, asked again for as long as the server cannot be reached; meanwhile the page says so.
 *
 * @throws SpoolRpcError for what trying again does not mend, or the signal's reason where that has fired
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
 * The frames of a stream. Leaving it ends the call.
 *
 * @throws SpoolRpcError, UNAVAILABLE too where nothing comes for OPENING_MS at first, or then for SILENCE_MS; or the signal's reason where that has fired
 */
export async function* streamed<Frame>(
  open: (signal: AbortSignal) => AsyncIterable<Frame>,
  signal: AbortSignal,
): AsyncGenerator<Frame, void, undefined> {
  const token = sessionToken.peek();
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
    throw over.signal.aborted
      ? new SpoolRpcError("UNAVAILABLE", "nothing came from the server")
      : toRpcError(error, token);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/**
 * An error of Spool's carries its reason. Without one the server was not reached, or something before it has answered:
 * a browser does not tell these apart, and what Connect calls them is chance, but for a path that nobody serves.
 *
 * @param token what the call was made with
 */
function toRpcError(error: unknown, token: string | null): SpoolRpcError {
  const { code, rawMessage, details } = ConnectError.from(error);
  const packed = details.flatMap((detail) =>
    "type" in detail && "value" in detail
      ? [create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value as Uint8Array })]
      : [],
  );
  const read = readErrorDetails(packed);
  const name = RPC_CODES[code] ?? "UNKNOWN";
  if (name === "UNAUTHENTICATED") tokenRefused(token);
  if (read.reason === "ORIGIN_REFUSED") originRefusal.value = new SpoolRpcError(name, rawMessage, read);
  if (read.reason === undefined && !ANSWERS_OF_OTHERS.has(name)) {
    return new SpoolRpcError("UNAVAILABLE", "the server cannot be reached", {}, { cause: error });
  }
  return new SpoolRpcError(name, rawMessage, read, { cause: error });
}

const ANSWERS_OF_OTHERS: ReadonlySet<string> = new Set(["UNIMPLEMENTED", "UNAUTHENTICATED", "PERMISSION_DENIED"]);
