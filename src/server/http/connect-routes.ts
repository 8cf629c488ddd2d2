import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { Compression, UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Logger } from "pino";
import { SpoolError, Unauthenticated, Unimplemented } from "../../domain/errors.ts";
import { CALL_TIMEOUT_MS_MAX, MESSAGE_BYTES_MAX } from "../../domain/limits.ts";
import { AdminService } from "../../gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../gen/spool/v1/worker_service_pb.ts";
import { Checks } from "../../rpc/validation/checks.ts";
import { addRoutes, CALLER, nameErrors, toConnectError } from "../../rpc/connect/connect-binding.ts";
import type { Drain } from "../../rpc/call/drain.ts";
import type { CallTracker } from "../../rpc/call/tracked-call.ts";
import { checkJsonRequest } from "../../rpc/validation/request-bounds.ts";
import type { ServiceHandlers } from "../../rpc/call/service.ts";
import { callerOf, closeAfter, sendError, STREAM_HEADERS } from "./http-answer.ts";
import { readQuery } from "./http-query.ts";
import type { HttpHandler, HttpRequest } from "./http-server.ts";
import { framingOf, readRequestBody } from "./request-body.ts";

interface ConnectServices {
  tasks: ServiceHandlers<typeof TaskService>;
  workers: ServiceHandlers<typeof WorkerService>;
  admin: ServiceHandlers<typeof AdminService>;
}

const brotli = promisify(brotliCompress);

/** Of Brotli's eleven the one that is as fast as gzip. The highest, which is the default, takes seconds a MiB. */
const BROTLI_QUALITY = 4;

const fastBrotli: Compression = {
  ...compressionBrotli,
  compress: async (bytes) =>
    new Uint8Array(await brotli(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } })),
};

/** The decoder is an option that the library reads and does not name. Without it text that is not UTF-8 is mangled. */
const jsonOptions = { ignoreUnknownFields: false, textDecoder: new TextDecoder("utf-8", { fatal: true }) };

/**
 * The calls of the services, each by its path: Connect with JSON and protobuf, by GET too where a call changes
 * nothing, and gRPC-Web.
 */
export function connectRoutes(
  { tasks, workers, admin }: ConnectServices,
  {
    drain,
    isAuthorized,
    track,
    requestTimeoutMs,
    log,
  }: {
    drain: Drain;
    isAuthorized: (authorization: string | undefined) => boolean;
    track: CallTracker | undefined;
    /** How long a request may take to arrive. */
    requestTimeoutMs: number;
    log: Logger;
  },
): ReadonlyMap<string, HttpHandler> {
  const router = createConnectRouter({
    grpc: false, // It has a door of its own.
    readMaxBytes: MESSAGE_BYTES_MAX,
    acceptCompression: [compressionGzip, fastBrotli],
    jsonOptions,
    binaryOptions: { readUnknownFields: false },
    requestGate(context: HandlerContext) {
      nameErrors(context, log);
      const authorization = context.requestHeader.get("authorization") ?? undefined;
      if (!isAuthorized(authorization)) {
        throw toConnectError(new Unauthenticated({ isGiven: authorization !== undefined }), log);
      }
    },
  });
  const options = { drain, track, log };
  addRoutes(router, TaskService, tasks, options);
  addRoutes(router, WorkerService, workers, options);
  addRoutes(router, AdminService, admin, options);
  const routeOptions = { isAuthorized, requestTimeoutMs, log };
  return new Map(router.handlers.map((handle) => [handle.requestPath, route(handle, routeOptions)]));
}

function route(
  handle: UniversalHandler,
  {
    isAuthorized,
    requestTimeoutMs,
    log,
  }: { isAuthorized: (authorization: string | undefined) => boolean; requestTimeoutMs: number; log: Logger },
): HttpHandler {
  const isGettable = handle.method.methodKind === "unary" && handle.allowedMethods.includes("GET");
  const methods = isGettable ? ["GET", "POST"] : ["POST"];
  return (request, response) => {
    const { method = "" } = request;
    if (!methods.includes(method)) {
      response.setHeader("allow", methods.join(", "));
      return refuse(invalid(`this is called by ${methods.join(" or ")}`), 405);
    }
    const contentType = request.headers["content-type"] ?? "";
    if (method === "POST" && (!handle.supportedContentType(contentType) || BASE64.test(contentType))) {
      const type = handle.method.methodKind === "unary" ? "application/json" : "application/connect+json";
      return refuse(invalid(`content-type: must be ${type}, or another of Connect or gRPC-Web`), 415);
    }
    try {
      if (method === "GET") checkQuery(request, handle.method);
    } catch (error) {
      return refuse(error);
    }
    if (method === "GET") response.setHeader("cache-control", "no-store"); // What it tells of changes.
    if (handle.method.methodKind !== "unary") {
      for (const [name, value] of Object.entries(STREAM_HEADERS)) response.setHeader(name, value);
    }
    dropFarTimeouts(request);
    // The rest of a request that is refused is not waited for.
    if (!isAuthorized(request.headers.authorization)) closeAfter(request, response);
    const answer = async () => {
      const values = createContextValues().set(CALLER, callerOf(request));
      const universal = universalRequestFromNodeRequest(request, response, undefined, values);
      if (method === "POST") {
        const framing = framingOf(contentType.toLowerCase());
        universal.header.delete(framing.encodingHeader);
        universal.header.delete("content-length"); // Of what was sent.
        universal.body = readBody(framing);
      }
      await universalResponseToNodeResponse(await handle(universal), response);
    };
    // What a handler throws is an answer: this is a caller that has gone.
    answer().catch((error: unknown) => {
      log.debug({ err: error }, "an answer could not be written");
      response.destroy();
    });

    function refuse(error: unknown, status?: number): void {
      sendError(response, toConnectError(error, log), status);
    }

    /** Begins to read when Connect does, which asks for the token first. */
    async function* readBody(framing: ReturnType<typeof framingOf>) {
      try {
        yield await readRequestBody(request, handle.method, { ...framing, timeoutMs: requestTimeoutMs });
      } catch (error) {
        if (!(error instanceof SpoolError)) throw error; // The caller has gone.
        if (!request.complete) closeAfter(request, response);
        throw toConnectError(error, log);
      }
    }
  };
}

/** The protocol of gRPC-Web as base64, which is not served. */
const BASE64 = /^application\/grpc-web-text/i;

/** In milliseconds. Connect's timeouts have no unit, and are milliseconds; no other of gRPC's goes so far. */
const TIMEOUT_UNITS: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, "": 1 };

/** The library would set a timer that goes off at once. */
function dropFarTimeouts({ headers }: HttpRequest): void {
  for (const name of ["connect-timeout-ms", "grpc-timeout"]) {
    const [, count, unit] = /^(\d{1,10})([HMS]?)$/.exec(String(headers[name])) ?? [];
    if (unit !== undefined && Number(count) * TIMEOUT_UNITS[unit]! > CALL_TIMEOUT_MS_MAX) delete headers[name];
  }
}

function invalid(what: string): SpoolError {
  return new SpoolError("INVALID_ARGUMENT", what);
}

/** The query of a call by GET, where the library would not say what is wrong, or call it an error of ours. */
function checkQuery(request: HttpRequest, method: DescMethod): void {
  const query = readQuery(request);
  const checks = new Checks();
  if (!["json", "proto"].includes(query.get("encoding") ?? "")) checks.refuse("encoding", "must be json or proto");
  const message = query.get("message");
  if (message === null) checks.refuse("message", "must be there; with encoding=json, {} is an empty one");
  try {
    if (query.get("base64") === "1") base64Decode(message ?? "");
  } catch {
    checks.refuse("message", "must be base64, as base64=1 says");
  }
  const compression = query.get("compression") ?? "identity";
  if (!["identity", "gzip", "br"].includes(compression)) {
    throw new Unimplemented(`compression: must be one of identity, gzip, br, not ${JSON.stringify(compression)}`);
  }
  checks.passed(query);
  // What comes compressed cannot be read here; readMaxBytes bounds it, and its integers are as the library rounds them.
  if (query.get("encoding") !== "json" || compression !== "identity") return;
  const bytes = query.get("base64") === "1" ? base64Decode(message!) : Buffer.from(message!);
  checkJsonRequest(method, bytes);
}
