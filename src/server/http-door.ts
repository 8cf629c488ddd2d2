import { createConnectRouter } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { Logger } from "pino";
import { Unauthenticated } from "../domain/errors.ts";
import { CALL_TIMEOUT_MS_MAX, MESSAGE_BYTES_MAX } from "../domain/limits.ts";
import type { TaskEngine } from "../engine/task-engine.ts";
import { TaskService } from "../gen/spool/v1/task_service_pb.ts";
import { bearerTokenCheck } from "../rpc/bearer-token.ts";
import { addRoutes, toConnectError } from "../rpc/connect-binding.ts";
import { Drain } from "../rpc/drain.ts";
import { taskService } from "../rpc/task-service.ts";
import { openHttpServer } from "./http-server.ts";
import type { HttpHandler } from "./http-server.ts";

/** An open HTTP door. */
export interface HttpDoor {
  /** Where it listens; the one found, where any free port was asked for. */
  readonly port: number;
  /**
   * No call is taken any more, streams and waits end with DRAINING, and calls that write are left to finish. Resolves
   * when all have ended: after graceMs at the latest, for then they are cut off.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/**
 * Serves spool.v1.TaskService over HTTP/1.1: Connect (JSON and binary, by GET too where a call has no side effects)
 * and gRPC-Web. WorkerService, whose stream goes both ways at once, is served over gRPC alone.
 *
 * @param host an address or a name of this machine
 * @param port 0 for any that is free
 * @param token what every call must carry as its bearer; undefined: nobody is asked
 * @param fallback answers every other path, without a token
 * @throws where the address cannot be listened on
 */
export async function openHttpDoor({
  engine,
  host,
  port,
  token,
  fallback = answerNotFound,
  log,
}: {
  engine: TaskEngine;
  host: string;
  port: number;
  token?: string | undefined;
  fallback?: HttpHandler;
  log: Logger;
}): Promise<HttpDoor> {
  const drain = new Drain();
  const routes = connectRoutes(engine, { drain, token, log });
  const handler: HttpHandler = (request, response) => {
    const route = routes.get(request.url?.split("?", 1)[0] ?? "") ?? fallback;
    route(request, response);
  };
  const server = await openHttpServer({ host, port, handler });
  return {
    port: server.port,
    close(options) {
      drain.begin();
      return server.close(options);
    },
  };
}

/** The calls of TaskService, each by its path. */
function connectRoutes(
  engine: TaskEngine,
  { drain, token, log }: { drain: Drain; token: string | undefined; log: Logger },
): Map<string, HttpHandler> {
  const isAuthorized = token === undefined ? () => true : bearerTokenCheck(token);
  const router = createConnectRouter({
    grpc: false, // It has a door of its own.
    readMaxBytes: MESSAGE_BYTES_MAX,
    maxTimeoutMs: CALL_TIMEOUT_MS_MAX,
    acceptCompression: [compressionGzip, compressionBrotli],
    jsonOptions: { ignoreUnknownFields: false },
    requestGate({ requestHeader }: HandlerContext) {
      if (!isAuthorized(requestHeader.get("authorization") ?? undefined)) {
        throw toConnectError(new Unauthenticated(), log);
      }
    },
  });
  addRoutes(router, TaskService, taskService(engine), { drain, log });
  return new Map(
    router.handlers.map((handle): [string, HttpHandler] => [
      handle.requestPath,
      (request, response) => {
        const answer = async () => {
          const universal = universalRequestFromNodeRequest(request, response, undefined, undefined);
          await universalResponseToNodeResponse(await handle(universal), response);
        };
        // What a handler throws is an answer: this is a caller that has gone, or a request that is not HTTP.
        answer().catch((error: unknown) => {
          log.debug({ err: error }, "an answer could not be written");
          response.destroy();
        });
      },
    ]),
  );
}

const answerNotFound: HttpHandler = (_request, response) => {
  response.writeHead(404);
  response.end();
};
