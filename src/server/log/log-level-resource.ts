import type { Logger } from "pino";
import { InvalidArgument } from "../../domain/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { pathOf, sendError, sendJson } from "../http/http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "../http/http-server.ts";
import { changeLogLevel, LOG_LEVELS } from "./log-level.ts";
import type { LogLevel } from "./log-level.ts";

const BODY_BYTES_MAX = 1_024;

/**
 * Tells the level of a log by GET, as `{"level": "info"}`, and changes it by PUT of the same, for this process and
 * until it ends.
 *
 * @param log the one that was opened, not a child
 */
export function logLevelResource(log: Logger): HttpHandler {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.debug({ err: error }, "an answer could not be written");
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

/** The body as a text; null for one that is too long, of which no more is kept. @throws where the caller leaves */
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
  if (unknown !== undefined) throw invalid(unknown, "is no field here: there is level");
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
    // As any other that is none.
  }
  throw invalid("body", 'must be a JSON object such as {"level": "debug"}');
}

function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
