import type { FoldedPart, SpoolEvent } from "../../client/types.ts";
import { formatCount, formatTime } from "../format.ts";

/** Longer lines are truncated in the list. The event's details show all of it. */
const LINE_CHARS_MAX = 300;

/** An event as a row of a list. */
export interface EventLine {
  readonly seq: number;
  readonly time: Date;
  /** The style of the row. */
  readonly tone: "plain" | "quiet" | "good" | "warn" | "bad";
  /** The type of the event, in one word. */
  readonly label: string;
  readonly text: string;
}

const LEVEL_TONES = { DEBUG: "quiet", INFO: "plain", WARN: "warn", ERROR: "bad" } as const;
const STATUS_TONES = { succeeded: "good", failed: "bad", cancelled: "warn" } as const;

export function eventLine(event: SpoolEvent): EventLine {
  const head = { seq: Number(event.seq), time: event.time };
  switch (event.type) {
    case "started":
      return { ...head, tone: "plain", label: "started", text: `attempt ${event.attempt}` };
    case "progress": {
      const detail = event.detail ? ` ${JSON.stringify(event.detail)}` : "";
      const total = event.total > 0 ? ` / ${formatCount(event.total)}` : "";
      const text = `${event.phase} ${formatCount(event.current)}${total}${detail}`;
      return { ...head, tone: "quiet", label: "progress", text: cut(text) };
    }
    case "log":
      return { ...head, tone: LEVEL_TONES[event.level], label: event.level.toLowerCase(), text: cut(event.message) };
    case "partial":
      return { ...head, tone: "plain", label: "partial", text: cut(`${event.kind} ${JSON.stringify(event.payload)}`) };
    case "folded":
      return { ...head, tone: "plain", label: "series", text: cut(event.parts.map(foldedText).join(" · ")) };
    case "cancel_requested": {
      const by = event.cancelledBy === undefined ? "" : ` (by ${event.cancelledBy})`;
      const text = (event.reason || "requested without a reason") + by;
      return { ...head, tone: "warn", label: "cancel", text: cut(text) };
    }
    case "retrying": {
      const text = `${event.error.reason}: ${event.error.message}; next at ${formatTime(event.nextAttemptAt)}`;
      return { ...head, tone: "warn", label: "retrying", text: cut(text) };
    }
    case "final": {
      const outcome = event.error
        ? `: ${event.error.reason}: ${event.error.message}`
        : ` ${JSON.stringify(event.result)}`;
      return { ...head, tone: STATUS_TONES[event.status], label: "final", text: cut(event.status + outcome) };
    }
    case "unknown":
      return { ...head, tone: "quiet", label: "unknown", text: "unknown event type" };
  }
}

/** Returns the end of a text, which is where it grows, or the last payload. */
function foldedText({ kind, series, payload, count }: FoldedPart): string {
  const head = `${kind} ${series.name} (${formatCount(count)})`;
  const text = series.field === undefined ? undefined : payload[series.field];
  if (typeof text !== "string") return `${head} ${JSON.stringify(payload)}`;
  return `${head} ${text.length > LINE_CHARS_MAX ? `…${text.slice(-LINE_CHARS_MAX / 2)}` : text}`;
}

function cut(text: string): string {
  return text.length > LINE_CHARS_MAX ? `${text.slice(0, LINE_CHARS_MAX)}…` : text;
}
