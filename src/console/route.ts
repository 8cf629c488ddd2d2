import { TASK_ID_PREFIX_CHARS_MAX, TASK_ID_PREFIX_CHARS_MIN } from "../domain/limits.ts";
import { TASK_STATUSES } from "../domain/task.ts";
import type { TaskStatus } from "../domain/task.ts";

/** The filter of a task list. */
export interface TaskFilter {
  /** Empty: all. */
  readonly statuses: readonly TaskStatus[];
  /** Empty: all. */
  readonly kinds: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** The content of the page. It is stored in the URL's fragment, so the server serves only one page, below any path. */
export type Route =
  | { page: "tasks"; filter: TaskFilter; pageToken: string }
  /** taskId: an id or a prefix; seq: the selected event; null: none. */
  | { page: "task"; taskId: string; seq: number | null }
  /** from: the task to start again; null: none. */
  | { page: "start"; from: string | null }
  | { page: "overview" }
  | { page: "unknown" };

export const NO_FILTER: TaskFilter = { statuses: [], kinds: [], labels: {} };

/** @param fragment with or without `#`; unreadable parts are ignored */
export function parseRoute(fragment: string): Route {
  const [path = "", query = ""] = fragment.replace(/^#/, "").split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const [name = "", id, ...rest] = path.split("/").filter(Boolean);
  if (rest.length > 0 || (id !== undefined && name !== "tasks")) return { page: "unknown" };
  switch (name) {
    case "":
    case "tasks":
      if (id !== undefined) return { page: "task", taskId: id, seq: parseSeq(parameters.get("seq")) };
      return { page: "tasks", filter: parseFilter(parameters), pageToken: parameters.get("page") ?? "" };
    case "start":
      return { page: "start", from: parameters.get("from") };
    case "overview":
      return { page: "overview" };
    default:
      return { page: "unknown" };
  }
}

/** Returns the href of a route. */
export function formatRoute(route: Route): string {
  switch (route.page) {
    case "tasks": {
      const { statuses, kinds, labels } = route.filter;
      const parameters: [string, string][] = [];
      for (const status of statuses) parameters.push(["status", status]);
      for (const kind of kinds) parameters.push(["kind", kind]);
      for (const [key, value] of Object.entries(labels)) parameters.push(["label", `${key}=${value}`]);
      if (route.pageToken !== "") parameters.push(["page", route.pageToken]);
      return withQuery("#/tasks", parameters);
    }
    case "task":
      return withQuery(`#/tasks/${route.taskId}`, route.seq === null ? [] : [["seq", String(route.seq)]]);
    case "start":
      return withQuery("#/start", route.from === null ? [] : [["from", route.from]]);
    case "overview":
      return "#/overview";
    case "unknown":
      return "#/";
  }
}

/** Parses a label such as `team=search`. The value may contain `=`. Returns null if `=` or the key is missing. */
export function parseLabel(text: string): [key: string, value: string] | null {
  const at = text.indexOf("=");
  return at > 0 ? [text.slice(0, at).trim(), text.slice(at + 1).trim()] : null;
}

const NIL_UUID = "00000000-0000-0000-0000-000000000000";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function isTaskId(text: string): boolean {
  return UUID.test(text);
}

/** Whether a text is a valid prefix of a task id, but not a whole id. */
export function isTaskIdPrefix(text: string): boolean {
  const isInBounds = text.length >= TASK_ID_PREFIX_CHARS_MIN && text.length < TASK_ID_PREFIX_CHARS_MAX;
  return isInBounds && isTaskId(text + NIL_UUID.slice(text.length));
}

function parseFilter(parameters: URLSearchParams): TaskFilter {
  const labels = parameters.getAll("label").flatMap((text) => {
    const label = parseLabel(text);
    return label ? [label] : [];
  });
  return {
    statuses: TASK_STATUSES.filter((status) => parameters.getAll("status").includes(status)),
    kinds: [...new Set(parameters.getAll("kind"))],
    labels: Object.fromEntries(labels),
  };
}

function parseSeq(text: string | null): number | null {
  return text !== null && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : null;
}

function withQuery(path: string, parameters: [name: string, value: string][]): string {
  const query = new URLSearchParams(parameters).toString();
  return query === "" ? path : `${path}?${query}`;
}
