import type { SpoolEvent } from "../../client/types.ts";
import { LOG_LEVELS } from "../../domain/event.ts";
import type { LogLevel } from "../../domain/event.ts";

/** The filters by event type, with their names. */
export const EVENT_SORTS = {
  all: "All events",
  logs: "Logs",
  info: "Logs from info",
  warn: "Logs from warn",
  error: "Logs: errors",
  partial: "Partials",
  progress: "Progress",
  course: "Attempts, cancel, final",
} as const;

export type EventSort = keyof typeof EVENT_SORTS;

export interface EventFilter {
  readonly sort: EventSort;
  /** Text that the event must contain, in any case; empty: any. */
  readonly text: string;
}

const LEAST_LEVELS: Partial<Record<EventSort, LogLevel>> = {
  logs: "DEBUG",
  info: "INFO",
  warn: "WARN",
  error: "ERROR",
};

export function isWholeTape({ sort, text }: EventFilter): boolean {
  return sort === "all" && text === "";
}

export function matchesFilter(event: SpoolEvent, { sort, text }: EventFilter): boolean {
  return isOfSort(event, sort) && (text === "" || textOf(event).toLowerCase().includes(text.toLowerCase()));
}

function isOfSort(event: SpoolEvent, sort: EventSort): boolean {
  const least = LEAST_LEVELS[sort];
  if (least !== undefined) {
    return event.type === "log" && LOG_LEVELS.indexOf(event.level) >= LOG_LEVELS.indexOf(least);
  }
  if (sort === "all") return true;
  if (sort === "course") return !["log", "partial", "folded", "progress"].includes(event.type);
  return event.type === sort || (event.type === "folded" && sort === "partial");
}

function textOf(event: SpoolEvent): string {
  switch (event.type) {
    case "log":
      return event.message;
    case "progress":
      return event.detail ? `${event.phase} ${JSON.stringify(event.detail)}` : event.phase;
    case "partial":
      return `${event.kind} ${JSON.stringify(event.payload)}`;
    case "folded":
      return event.parts
        .map(({ kind, series, payload }) => `${kind} ${series.name} ${JSON.stringify(payload)}`)
        .join(" ");
    case "cancel_requested":
      return `${event.reason} ${event.cancelledBy ?? ""}`;
    case "retrying":
      return `${event.error.reason} ${event.error.message} ${JSON.stringify(event.error.details ?? {})}`;
    case "final":
      return `${event.status} ${JSON.stringify(event.error ?? event.result ?? {})}`;
    case "started":
      return event.kind;
    case "unknown":
      return "";
  }
}
