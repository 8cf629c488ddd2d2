import type { FinalEvent, JsonObject, SpoolEvent, TaskFailure } from "../../client/client.ts";
import { escapeJson, escapeText } from "./escape-text.ts";
import type { Colorize } from "./colorize.ts";

/** Longest payload on a line; `--json` prints the whole payload. */
const PAYLOAD_CHARS_MAX = 500;

const LEVEL_COLORS = { DEBUG: "dim", INFO: null, WARN: "yellow", ERROR: "red" } as const;
const STATUS_COLORS = { succeeded: "green", failed: "red", cancelled: "yellow" } as const;

/** Returns an event as one line with its time and seq; null for an unknown event type. */
export function eventLine(event: SpoolEvent, colorize: Colorize): string | null {
  const text = describeEvent(event, colorize);
  return text === null ? null : `${colorize("dim", `${event.time.toISOString()} ${event.seq}`)} ${text}`;
}

/** Returns the content of an event as one line; null for an unknown event type. */
export function describeEvent(event: SpoolEvent, colorize: Colorize): string | null {
  switch (event.type) {
    case "started":
      return `started ${escapeText(event.kind)}, attempt ${event.attempt}`;
    case "progress":
      return `progress ${escapeText(event.phase)} ${count(event.current, event.total)}${payload(event.detail)}`;
    case "log": {
      const color = LEVEL_COLORS[event.level];
      const line = `${event.level} ${escapeText(event.message)}`;
      return color ? colorize(color, line) : line;
    }
    case "partial":
      return `partial ${escapeText(event.kind)}${payload(event.payload)}`;
    case "cancel_requested":
      return colorize(
        "yellow",
        event.reason === "" ? "cancel requested" : `cancel requested: ${escapeText(event.reason)}`,
      );
    case "retrying":
      return colorize("yellow", `retrying at ${event.nextAttemptAt.toISOString()} after ${failureText(event.error)}`);
    case "final":
      return colorize(STATUS_COLORS[event.status], finalText(event));
    case "unknown":
      return null;
  }
}

/** Returns a failure as one line. */
export function failureText({ reason, message, details }: TaskFailure): string {
  const text = message === "" ? reason : `${reason}: ${message}`;
  return `${escapeText(text)}${payload(details)}`;
}

/** Returns `3/5 60%`. Rounds down, so 100% means done. */
export function count(current: number, total: number): string {
  return total > 0 ? `${current}/${total} ${percent(current, total)}%` : String(current);
}

function percent(current: number, total: number): number {
  return Math.min(100, Math.floor((100 * current) / total));
}

function finalText({ status, error }: FinalEvent): string {
  return error ? `${status} ${failureText(error)}` : status;
}

function payload(json: JsonObject | undefined): string {
  if (!json || Object.keys(json).length === 0) return "";
  const text = escapeJson(JSON.stringify(json));
  return ` ${text.length > PAYLOAD_CHARS_MAX ? `${text.slice(0, PAYLOAD_CHARS_MAX)}…` : text}`;
}
