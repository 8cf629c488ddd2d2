import type { Logger } from "pino";
import { InvalidArgument } from "../../domain/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { pathOf, sendError, sendJson } from "../http/http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "../http/http-server.ts";
import { changeLogLevel, LOG_LEVELS } from "./log-level.ts";
import type { LogLevel } from "./log-level.ts";

const BODY_BYTES_MAX = 1_024;

/**
 * Returns the log level for GET, as `{"level": "info"}`, and changes the level for PUT with the same body. The change
 * lasts until the process ends.
 *
 * @param log the root logger, not a child
 */
export function logLevelResource(log: Logger): HttpHandler {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.debug({ err: error }, "http: response not written");
      response.destroy();
    });
  };

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    if (request.method === "PUT") {
      const body = await readBody(request);
      try {
        changeLogLevel(log, parseLevel(body), { by: `PUT ${pathOf(request)}` });
      } catch (error) {
        return sendError(response, toConnectError(error, log));
      }
    }
    sendJson(response, 200, JSON.stringify({ level: log.level }));
  }
}

/** Reads the body as text; null if it is too long, which is not buffered. @throws if the caller disconnects */
async function readBody(request: HttpRequest): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return bytes <= BODY_BYTES_MAX ? Buffer.concat(chunks).toString() : null;
}

/** @throws InvalidArgument */
function parseLevel(body: string | null): LogLevel {
  if (body === null) throw invalid("body", `must be at most ${BODY_BYTES_MAX} bytes`);
  const fields = parseObject(body);
  const unknown = Object.keys(fields).find((name) => name !== "level");
  if (unknown !== undefined) throw invalid(unknown, "unknown field; known field: level");
  const { level } = fields;
  const known = LOG_LEVELS.find((candidate) => candidate === level);
  if (known === undefined) throw invalid("level", `must be one of ${LOG_LEVELS.join(", ")}`);
  return known;
}

function parseObject(body: string): { readonly level?: unknown } {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Reported below, as any body that is not an object.
  }
  throw invalid("body", 'must be a JSON object such as {"level": "debug"}');
}

function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
