import { digestJson } from "../domain/canonical-json.ts";
import type { TapeEvent } from "../domain/event.ts";
import type { JsonValue } from "../domain/json.ts";
import { isTerminal } from "../domain/task.ts";
import type { TaskView } from "../domain/task.ts";
import type { SpoolEvent } from "../codec/event-types.ts";
import { ArchiveError, TruncatedArchive } from "./archive-error.ts";
import { readEnd, readFooter, readHeader, readObject } from "./archive-lines.ts";
import type { ArchiveFooter, ArchiveHeader, TaskEnd } from "./archive-lines.ts";
import { fromEventJson, toEventJson, toTapeEvent } from "./event-json.ts";
import { TaskDigest } from "./task-digest.ts";
import { fromTaskJson, toTaskJson } from "./task-json.ts";

/** What a valid line says. The events of a task that has an `end` are complete and have the digest of the file. */
export type ArchiveItem =
  | { type: "header"; header: ArchiveHeader }
  | { type: "task"; task: TaskView }
  | { type: "event"; event: TapeEvent }
  | { type: "end"; end: TaskEnd }
  | { type: "discard" }
  | { type: "footer"; footer: ArchiveFooter };

interface OpenTask {
  task: TaskView;
  digest: TaskDigest;
  events: number;
  last: SpoolEvent | null;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Validates the lines of a file, in order. Digests what it returns, not the text of the lines: whatever a line says that
 * Spool would not store fails the check of the digest.
 */
export class ArchiveParser {
  readonly #file: string;
  #line = 0;
  #header: ArchiveHeader | null = null;
  #open: OpenTask | null = null;
  #counts: ArchiveFooter = { tasks: 0, events: 0 };
  #isComplete = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** The number of the last parsed line. */
  get line(): number {
    return this.#line;
  }

  /** Whether no task is open: a file may be cut here. */
  get isBetweenTasks(): boolean {
    return this.#open === null && this.#header !== null;
  }

  /** The complete tasks so far. */
  get counts(): Readonly<ArchiveFooter> {
    return this.#counts;
  }

  get header(): ArchiveHeader | null {
    return this.#header;
  }

  /** Whether the last line was a footer. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** @throws ArchiveError */
  parse(text: string): ArchiveItem {
    this.#line++;
    try {
      return this.#read(text);
    } catch (error) {
      throw new ArchiveError(this.#file, this.#line, (error as Error).message, { cause: error });
    }
  }

  /** Checks that the file ends here. @throws TruncatedArchive if the export was not complete */
  finish(): void {
    if (this.#isComplete) return;
    const reason = this.#open === null ? "ends without a footer" : `ends within task ${this.#open.task.taskId}`;
    throw new TruncatedArchive(this.#file, this.#line, `${reason}: the export was interrupted`);
  }

  #read(text: string): ArchiveItem {
    const line = readObject(parseJson(text), "the line");
    const [name, ...others] = Object.keys(line);
    if (name === undefined || others.length > 0) throw new Error("the line must have exactly one member");
    if (this.#isComplete) throw new Error("the line is after the footer");
    if (this.#header === null && name !== "header") throw new Error("the first line must be a header");
    const value = line[name]!;
    switch (name) {
      case "header":
        if (this.#header !== null) throw new Error("a second header");
        return { type: "header", header: (this.#header = readHeader(value)) };
      case "task":
        return { type: "task", task: this.#readTask(value) };
      case "event":
        return { type: "event", event: this.#readEvent(value) };
      case "end":
        return { type: "end", end: this.#readEnd(value) };
      case "discard":
        if (readObject(value, "discard")["taskId"] !== this.#opened("discard").task.taskId)
          throw new Error("discard.taskId must be that of the open task");
        this.#open = null;
        return { type: "discard" };
      case "footer":
        return { type: "footer", footer: this.#readFooter(value) };
      default:
        throw new Error(`unknown sort of line ${JSON.stringify(name)}`);
    }
  }

  #readTask(json: JsonValue): TaskView {
    if (this.#open !== null) throw new Error(`task ${this.#open.task.taskId} has no end before the next task`);
    const task = fromTaskJson(json);
    if (!UUID.test(task.taskId)) throw new Error(`task.taskId ${JSON.stringify(task.taskId)} must be a UUID`);
    if (!isTerminal(task.status)) throw new Error(`task.status is ${task.status}: only ended tasks can be imported`);
    if (task.finishedAt === null) throw new Error("task.finishedAt is missing");
    if (task.params === null) throw new Error("task.params is missing");
    if (task.maxAttempts < 1) throw new Error("task.maxAttempts must be at least 1");
    if (task.paramsDigest !== digestJson(task.params))
      throw new Error("task.paramsDigest is not the digest of the params");
    this.#open = { task, digest: new TaskDigest(toTaskJson(task)), events: 0, last: null };
    return task;
  }

  #readEvent(json: JsonValue): TapeEvent {
    const open = this.#opened("event");
    const event = fromEventJson(json);
    if (event.seq !== BigInt(open.events + 1)) throw new Error(`event.seq is ${event.seq}, not ${open.events + 1}`);
    if (open.last?.type === "final") throw new Error(`event ${event.seq} is after final`);
    open.digest.add([toEventJson(event)]);
    open.events++;
    open.last = event;
    return toTapeEvent(event);
  }

  #readEnd(json: JsonValue): TaskEnd {
    const { task, digest, events, last } = this.#opened("end");
    const end = readEnd(json);
    if (end.taskId !== task.taskId) throw new Error(`end.taskId is ${end.taskId}, not ${task.taskId}`);
    if (end.events !== events) throw new Error(`end.events is ${end.events}, but ${events} events came`);
    if (task.lastSeq !== BigInt(events)) throw new Error(`task.lastSeq is ${task.lastSeq}, but ${events} events came`);
    if (last?.type !== "final") throw new Error(`the last event of task ${task.taskId} is not final`);
    if (last.status !== task.status) throw new Error(`final has status ${last.status}, and its task ${task.status}`);
    const sha256 = digest.end();
    if (end.sha256 !== sha256) throw new Error(`task ${task.taskId} has digest ${sha256}, not ${end.sha256}`);
    this.#open = null;
    this.#counts = { tasks: this.#counts.tasks + 1, events: this.#counts.events + events };
    return end;
  }

  #readFooter(json: JsonValue): ArchiveFooter {
    if (this.#open !== null) throw new Error(`task ${this.#open.task.taskId} has no end before the footer`);
    const footer = readFooter(json);
    const { tasks, events } = this.#counts;
    if (footer.tasks !== tasks || footer.events !== events) {
      throw new Error(`footer: ${footer.tasks} tasks and ${footer.events} events, but ${tasks} and ${events} came`);
    }
    this.#isComplete = true;
    return footer;
  }

  #opened(name: string): OpenTask {
    if (this.#open === null) throw new Error(`${name} without a task before it`);
    return this.#open;
  }
}

function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new Error(`must be JSON: ${(error as Error).message}`, { cause: error });
  }
}
