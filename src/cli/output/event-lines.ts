import type { FinalEvent, FoldedPart, JsonObject, SpoolEvent, TaskFailure } from "../../client/client.ts";
import { escapeJson, escapeText } from "./escape-text.ts";
import type { Colorize } from "./colorize.ts";

/** Longest payload on a line; `--json` prints the whole payload. */
const PAYLOAD_CHARS_MAX = 500;

const LEVEL_COLORS = { DEBUG: "dim", INFO: null, WARN: "yellow", ERROR: "red" } as const;
const STATUS_COLORS = { succeeded: "green", failed: "red", cancelled: "yellow" } as const;

/**
 * Returns an event as one line with its time and seq; null for an unknown event type. A folded event has a range of
 * seqs, and further lines for its text.
 */
export function eventLine(event: SpoolEvent, colorize: Colorize): string | null {
  const text = describeEvent(event, colorize);
  if (text === null) return null;
  const seqs = event.type === "folded" ? `${event.firstSeq}-${event.seq}` : event.seq;
  return `${colorize("dim", `${event.time.toISOString()} ${seqs}`)} ${text}`;
}

/** Returns the content of an event as one line, or as several for a folded event; null for an unknown event type. */
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
    case "folded":
      return event.parts.map(foldedPart).join("\n");
    case "cancel_requested": {
      const by = event.cancelledBy === undefined ? "" : ` by ${escapeText(event.cancelledBy)}`;
      const reason = event.reason === "" ? "" : `: ${escapeText(event.reason)}`;
      return colorize("yellow", `cancel requested${by}${reason}`);
    }
    case "retrying":
      return colorize("yellow", `retrying at ${event.nextAttemptAt.toISOString()} after ${failureText(event.error)}`);
    case "final":
      return colorize(STATUS_COLORS[event.status], finalText(event));
    case "unknown":
      return null;
  }
}

/** Returns the partials of a series: the last payload, or the text, with each of its lines indented. */
function foldedPart({ kind, payload: last, series, count: events }: FoldedPart): string {
  const head = `partial ${escapeText(kind)} ${escapeText(series.name)}, ${events} events`;
  const text = series.field === undefined ? undefined : last[series.field];
  if (typeof text !== "string") return `${head}${payload(last)}`;
  return [`${head}:`, ...text.split(/\r?\n/).map((line) => `  ${escapeText(line)}`)].join("\n");
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
