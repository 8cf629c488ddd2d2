import type { FinalEvent, JsonObject, SpoolEvent, TaskFailure } from "../../client/client.ts";
import { escapeJson, escapeText } from "./escape-text.ts";
import type { Paint } from "./color.ts";

/** A payload is shown up to here; `--json` has all of it. */
const PAYLOAD_CHARS_MAX = 500;

const LEVEL_COLOURS = { DEBUG: "dim", INFO: null, WARN: "yellow", ERROR: "red" } as const;
const STATUS_COLOURS = { succeeded: "green", failed: "red", cancelled: "yellow" } as const;

/** An event as one line for people; null for one of a type that is not known here. */
export function eventLine(event: SpoolEvent, paint: Paint): string | null {
  const text = describeEvent(event, paint);
  return text === null ? null : `${paint("dim", `${event.time.toISOString()} ${event.seq}`)} ${text}`;
}

/** What an event says, on one line; null for one of a type that is not known here. */
export function describeEvent(event: SpoolEvent, paint: Paint): string | null {
  switch (event.type) {
    case "started":
      return `started ${escapeText(event.kind)}, attempt ${event.attempt}`;
    case "progress":
      return `progress ${escapeText(event.phase)} ${count(event.current, event.total)}${payload(event.detail)}`;
    case "log": {
      const colour = LEVEL_COLOURS[event.level];
      const line = `${event.level} ${escapeText(event.message)}`;
      return colour ? paint(colour, line) : line;
    }
    case "partial":
      return `partial ${escapeText(event.kind)}${payload(event.payload)}`;
    case "cancel_requested":
      return paint(
        "yellow",
        event.reason === "" ? "cancel requested" : `cancel requested: ${escapeText(event.reason)}`,
      );
    case "retrying":
      return paint("yellow", `retrying at ${event.nextAttemptAt.toISOString()} after ${failureText(event.error)}`);
    case "final":
      return paint(STATUS_COLOURS[event.status], finalText(event));
    case "unknown":
      return null;
  }
}

/** Why something failed, on one line. */
export function failureText({ reason, message, details }: TaskFailure): string {
  const text = message === "" ? reason : `${reason}: ${message}`;
  return `${escapeText(text)}${payload(details)}`;
}

/** `3/5 60%`; 100% only where it is done. */
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
