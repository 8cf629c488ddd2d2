import type { JsonObject, JsonValue } from "../domain/json.ts";

// A file is a sequence of lines, each a JSON object with one member:
//
//   header    the format, and which tasks were asked for; the first line
//   task      a task, with its params
//   event     an event of this task
//   end       the end of this task: the number of its events, and the digest of task and tape
//   discard   instead of `end`: the task was removed while it was read, and must be ignored
//   footer    how many tasks and events the file has; the last line of a complete export

const FORMAT = "spool-export";
/** Raised by a change that an older reader would misunderstand. */
const FORMAT_VERSION = 1;

/** The most bytes of a line: the largest task or event, with room for another encoding of its characters. */
export const LINE_BYTES_MAX = 32 * 1024 * 1024;

/** Which tasks an export was asked for, as its caller wrote it. An export is resumed only with the same. */
export interface AskedTasks {
  /** A time, or a duration before the start of the export; null: no bound. */
  since: string | null;
  until: string | null;
  /** Empty: all. */
  kinds: readonly string[];
  labels: Readonly<Record<string, string>>;
}

export interface ArchiveHeader {
  asked: AskedTasks;
  /** When the export began, by the clock of its machine. */
  startedAt: Date;
  /** The tasks that ended at or after this time; null: from the first. */
  since: Date | null;
  /** The tasks that ended before this time. */
  until: Date;
}

export interface TaskEnd {
  taskId: string;
  events: number;
  sha256: string;
}

export interface ArchiveFooter {
  tasks: number;
  events: number;
}

/** Returns a line, with its line feed. */
export function archiveLine(name: "header" | "task" | "event" | "end" | "discard" | "footer", value: object): string {
  return `{"${name}":${JSON.stringify(value)}}\n`;
}

export function headerLine({ asked, startedAt, since, until }: ArchiveHeader): string {
  return archiveLine("header", { format: FORMAT, version: FORMAT_VERSION, asked, startedAt, since, until });
}

/** @throws Error that says what is wrong */
export function readHeader(json: JsonValue): ArchiveHeader {
  const { format, version, asked, startedAt, since, until } = readObject(json, "header");
  if (format !== FORMAT) throw new Error(`header.format must be ${FORMAT}: the file is not an export of Spool`);
  if (version !== FORMAT_VERSION) {
    throw new Error(`header.version is ${JSON.stringify(version)}; this program reads version ${FORMAT_VERSION}`);
  }
  const { since: askedSince = null, until: askedUntil = null, kinds, labels } = readObject(asked, "header.asked");
  return {
    asked: {
      since: askedSince as string | null,
      until: askedUntil as string | null,
      kinds: Array.isArray(kinds) ? (kinds as string[]) : [],
      labels: readObject(labels, "header.asked.labels") as Record<string, string>,
    },
    startedAt: readDate(startedAt, "header.startedAt"),
    since: since === null || since === undefined ? null : readDate(since, "header.since"),
    until: readDate(until, "header.until"),
  };
}

export function readEnd(json: JsonValue): TaskEnd {
  const { taskId, events, sha256 } = readObject(json, "end");
  if (typeof taskId !== "string") throw new Error("end.taskId must be a text");
  if (typeof sha256 !== "string") throw new Error("end.sha256 must be a text");
  return { taskId, events: readCount(events, "end.events"), sha256 };
}

export function readFooter(json: JsonValue): ArchiveFooter {
  const { tasks, events } = readObject(json, "footer");
  return { tasks: readCount(tasks, "footer.tasks"), events: readCount(events, "footer.events") };
}

export function readObject(json: JsonValue | undefined, name: string): JsonObject {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json;
  throw new Error(`${name} must be an object`);
}

function readCount(json: JsonValue | undefined, name: string): number {
  if (typeof json === "number" && Number.isSafeInteger(json) && json >= 0) return json;
  throw new Error(`${name} must be a whole number`);
}

function readDate(json: JsonValue | undefined, name: string): Date {
  const time = new Date(typeof json === "string" ? json : NaN);
  if (Number.isNaN(time.getTime())) throw new Error(`${name} must be a time such as 2027-01-31T08:00:00Z`);
  return time;
}
