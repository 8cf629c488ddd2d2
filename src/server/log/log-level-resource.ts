import type { Logger } from "pino";
import { SpoolError } from "../../domain/errors.ts";
import { toConnectError } from "../../rpc/connect/connect-binding.ts";
import { pathOf, sendError, sendJson } from "../http/http-answer.ts";
import type { HttpHandler, HttpRequest, HttpResponse } from "../http/http-server.ts";
import { invalid, readJsonObject, requireOnlyField } from "../http/small-body.ts";
import { changeLogLevel, LOG_LEVELS } from "./log-level.ts";
import type { LogLevel } from "./log-level.ts";

const BODY = { bytesMax: 1_024, example: '{"level": "debug"}' };

/**
 * Returns the log level for GET, as `{"level": "info"}`, and changes the level for PUT with the same body. The change
 * lasts until the process ends.
 *
 * @param log the root logger, not a child
 * @param onChange is called after the level was changed
 */
export function logLevelResource(
  log: Logger,
  onChange: (change: { from: string; to: string }) => void = () => {},
): HttpHandler {
  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.debug({ err: error }, "http: response not written");
      response.destroy();
    });
  };

  async function answer(request: HttpRequest, response: HttpResponse): Promise<void> {
    if (request.method === "PUT") {
      try {
        const level = parseLevel(await readJsonObject(request, BODY));
        const from = log.level;
        changeLogLevel(log, level, { by: `PUT ${pathOf(request)}` });
        onChange({ from, to: log.level });
      } catch (error) {
        if (!(error instanceof SpoolError)) throw error; // The caller has disconnected.
        return sendError(response, toConnectError(error, log));
      }
    }
    sendJson(response, 200, JSON.stringify({ level: log.level }));
  }
}

/** @throws InvalidArgument */
function parseLevel(fields: Readonly<Record<string, unknown>>): LogLevel {
  requireOnlyField(fields, "level");
  const { level } = fields;
  const known = LOG_LEVELS.find((candidate) => candidate === level);
  if (known === undefined) throw invalid("level", `must be one of ${LOG_LEVELS.join(", ")}`);
  return known;
}
