import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { createConnectRouter, createContextKey, createContextValues } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import type { ContextValues, HandlerContext } from "@connectrpc/connect";
import type { Compression, UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Logger } from "pino";
import { SpoolError, Unimplemented } from "../../domain/errors.ts";
import { CALL_TIMEOUT_MS_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { Checks } from "../../rpc/validation/checks.ts";
import { addRoutes, CALLER, IDENTITY, nameErrors, toConnectError } from "../../rpc/connect/connect-binding.ts";
import type { Drain } from "../../rpc/call/drain.ts";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import { checkJsonRequest } from "../../rpc/validation/request-bounds.ts";
import type { ServiceHandlers } from "../../rpc/call/service.ts";
import { callerOf, closeAfter, sendError, STREAM_HEADERS } from "./http-answer.ts";
import { readQuery } from "./http-query.ts";
import type { HttpHandler, HttpRequest } from "./http-server.ts";
import type { Identify } from "./identify.ts";
import { framingOf, readRequestBody } from "./request-body.ts";

interface ConnectServices {
  tasks: ServiceHandlers<typeof TaskService>;
  workers: ServiceHandlers<typeof WorkerService>;
  admin: ServiceHandlers<typeof AdminService>;
}

/** The signal of a call, which the library creates with the deadline. */
const SIGNAL = createContextKey<AbortSignal | undefined>(undefined);

/** Why a call is refused before its request is read; null: it is not. */
const REFUSAL = createContextKey<unknown>(null);

const brotli = promisify(brotliCompress);

/** The Brotli quality that is as fast as gzip. The default (11) takes seconds per MiB. */
const BROTLI_QUALITY = 4;

const fastBrotli: Compression = {
  ...compressionBrotli,
  compress: async (bytes) =>
    new Uint8Array(await brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } })),
};

/** `textDecoder` is an undocumented option of the library. Without it, text that is not UTF-8 would be mangled. */
const jsonOptions = { ignoreUnknownFields: false, textDecoder: new TextDecoder("utf-8", { fatal: true }) };

/**
 * Returns the handlers of all calls by path: Connect with JSON and protobuf (also by GET for calls without side effects)
 * and gRPC-Web.
 */
export function connectRoutes(
  { tasks, workers, admin }: ConnectServices,
  {
    drain,
    identify,
    track,
    requestTimeoutMs,
    log,
  }: {
    drain: Drain;
    identify: Identify;
    track: CallTracker | undefined;
    /** How long a request may take to arrive. */
    requestTimeoutMs: number;
    log: Logger;
  },
): ReadonlyMap<string, HttpHandler> {
  const router = createConnectRouter({
    grpc: false, // gRPC has its own listener.
    readMaxBytes: MESSAGE_BYTES_MAX,
    acceptCompression: [compressionGzip, fastBrotli],
    jsonOptions,
    binaryOptions: { readUnknownFields: false },
    requestGate(context: HandlerContext) {
      nameErrors(context, log);
      const refusal = context.values.get(REFUSAL);
      if (refusal !== null) throw toConnectError(refusal, log);
      if (context.signal.aborted) throw toConnectError(context.signal.reason, log);
      context.values.set(SIGNAL, context.signal);
    },
  });
  const options = { drain, track, log };
  addRoutes(router, TaskService, tasks, options);
  addRoutes(router, WorkerService, workers, options);
  addRoutes(router, AdminService, admin, options);
  const routeOptions = { identify, requestTimeoutMs, log };
  return new Map(router.handlers.map((handle) => [handle.requestPath, route(handle, routeOptions)]));
}

function route(
  handle: UniversalHandler,
  { identify, requestTimeoutMs, log }: { identify: Identify; requestTimeoutMs: number; log: Logger },
): HttpHandler {
  const isGettable = handle.method.methodKind === "unary" && handle.allowedMethods.includes("GET");
  const methods = isGettable ? ["GET", "POST"] : ["POST"];
  return (request, response) => {
    const { method = "" } = request;
    if (!methods.includes(method)) {
      response.setHeader("allow", methods.join(", "));
      return refuse(invalid(`method not allowed: use ${methods.join(" or ")}`), 405);
    }
    const contentType = request.headers["content-type"] ?? "";
    if (method === "POST" && (!handle.supportedContentType(contentType) || BASE64.test(contentType))) {
      const type = handle.method.methodKind === "unary" ? "application/json" : "application/connect+json";
      return refuse(invalid(`content-type: must be ${type}, or another content type of Connect or gRPC-Web`), 415);
    }
    try {
      if (method === "GET") checkQuery(request, handle.method);
    } catch (error) {
      return refuse(error);
    }
    if (method === "GET") response.setHeader("cache-control", "no-store"); // The response changes over time.
    if (handle.method.methodKind !== "unary") {
      for (const [name, value] of Object.entries(STREAM_HEADERS)) response.setHeader(name, value);
    }
    dropFarTimeouts(request);
    const answer = async () => {
      const caller = await identify(request);
      const values = createContextValues().set(CALLER, callerOf(request));
      if ("refusal" in caller) {
        values.set(REFUSAL, caller.refusal);
        closeAfter(request, response); // Do not wait for the rest of a refused request.
      } else {
        values.set(IDENTITY, caller.identity);
      }
      const universal = universalRequestFromNodeRequest(request, response, undefined, values);
      if (method === "POST") {
        const framing = framingOf(contentType.toLowerCase());
        universal.header.delete(framing.encodingHeader);
        universal.header.delete("content-length"); // The length before decompression.
        universal.body = readBody(framing, values);
      }
      await universalResponseToNodeResponse(await handle(universal), response);
    };
    // Errors of handlers become responses. An error here means that the caller has disconnected.
    answer().catch((error: unknown) => {
      log.debug({ err: error }, "http: response not written");
      response.destroy();
    });

    function refuse(error: unknown, status?: number): void {
      sendError(response, toConnectError(error, log), status);
    }

    /** Reads the body lazily: a refused call is answered before. */
    async function* readBody(framing: ReturnType<typeof framingOf>, values: ContextValues) {
      try {
        const body = await readRequestBody(request, handle.method, { ...framing, timeoutMs: requestTimeoutMs });
        // After the deadline, an error of decoding would no longer abort the signal, and would get no reason.
        const signal = values.get(SIGNAL);
        if (signal?.aborted) throw toConnectError(signal.reason, log);
        yield body;
      } catch (error) {
        if (!(error instanceof SpoolError)) throw error; // The caller has disconnected.
        if (!request.complete) closeAfter(request, response);
        throw toConnectError(error, log);
      }
    }
  };
}

/** The base64 variant of gRPC-Web, which is not supported. */
const BASE64 = /^application\/grpc-web-text/i;

/** In milliseconds. Timeouts of Connect have no unit and are milliseconds. Other units of gRPC cannot exceed the limit. */
const TIMEOUT_UNITS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, "": 1 };

/** Drops timeouts past the limit of timers: the library's timer would fire at once. */
function dropFarTimeouts({ headers }: HttpRequest): void {
  for (const name of ["connect-timeout-ms", "grpc-timeout"]) {
    const [, count, unit] = /^(\d{1,10})([HMS]?)$/.exec(String(headers[name])) ?? [];
    if (unit !== undefined && Number(count) * TIMEOUT_UNITS[unit]! > CALL_TIMEOUT_MS_MAX) delete headers[name];
  }
}

function invalid(what: string): SpoolError {
  return new SpoolError("INVALID_ARGUMENT", what);
}

/** Validates the query of a GET call. The library would report no field, or an internal error. */
function checkQuery(request: HttpRequest, method: DescMethod): void {
  const query = readQuery(request);
  const checks = new Checks();
  if (!["json", "proto"].includes(query.get("encoding") ?? "")) checks.refuse("encoding", "must be json or proto");
  const message = query.get("message");
  if (message === null) checks.refuse("message", "is required; with encoding=json, {} is an empty message");
  try {
    if (query.get("base64") === "1") base64Decode(message ?? "");
  } catch {
    checks.refuse("message", "must be base64 if base64=1");
  }
  const compression = query.get("compression") ?? "identity";
  if (!["identity", "gzip", "br"].includes(compression)) {
    throw new Unimplemented(`compression: must be one of identity, gzip, br, not ${JSON.stringify(compression)}`);
  }
  checks.passed(query);
  // A compressed message cannot be checked here: readMaxBytes bounds it, and the library rounds its integers.
  if (query.get("encoding") !== "json" || compression !== "identity") return;
  const bytes = query.get("base64") === "1" ? base64Decode(message!) : Buffer.from(message!);
  checkJsonRequest(method, bytes);
}
