import type { TaskEnd } from "../../archive/archive-lines.ts";
import { isCheckpoint } from "../../domain/event.ts";
import type { EventBodies, TapeEvent } from "../../domain/event.ts";
import type { Task, TaskView } from "../../domain/task.ts";

/** The approximate memory of an event besides its body, in characters. */
const EVENT_CHARS = 200;

/** A task that is being read from a file, with those of its events that are not written yet. */
export class PendingTask {
  readonly view: TaskView;
  /** The line of the task in its file. */
  readonly line: number;
  events: TapeEvent[] = [];
  /** The approximate memory of the events, in characters. */
  chars = 0;
  end: TaskEnd | null = null;
  #checkpointSeq: bigint | null = null;
  #cancelReason: string | null = null;

  constructor(view: TaskView, line: number) {
    this.view = view;
    this.line = line;
  }

  add(event: TapeEvent): void {
    this.events.push(event);
    this.chars += event.body.length + EVENT_CHARS;
    if (isCheckpoint(event)) this.#checkpointSeq = event.seq;
    if (event.type === "cancel_requested") {
      const { reason } = JSON.parse(event.body) as EventBodies["cancel_requested"];
      // A column of type text cannot hold NUL. The event has the reason in any case.
      if (!reason.includes("\0")) this.#cancelReason ??= reason;
    }
  }

  /** Returns the events so far, which the caller writes, and forgets them. */
  takeEvents(): TapeEvent[] {
    const { events } = this;
    this.events = [];
    this.chars = 0;
    return events;
  }

  /** Returns the task as it is stored, when all of its events were added. */
  toTask(): Task {
    const { awaitsWorker: _awaitsWorker, ...view } = this.view;
    return {
      ...view,
      exclusiveKey: null,
      crashes: 0,
      checkpointSeq: this.#checkpointSeq,
      cancelReason: this.#cancelReason,
      lease: null,
      traceparent: null,
    };
  }
}
