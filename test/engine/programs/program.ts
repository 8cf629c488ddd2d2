/** How a start asks for its time: at once, at a time that has passed, or in an hour. */
export type PlannedTime = "none" | "past" | "future";

export type KindName = "plain" | "exclusive";

export interface StartCall {
  call: "start";
  kind: KindName;
  key: "k0" | "k1";
  value: number;
  label: "a" | "b";
  requestId: "r0" | "r1" | null;
  runAt: PlannedTime;
  maxAttempts: number | null;
  /** How long the task waits between attempts: a millisecond, or an hour. */
  backoff: "short" | "long";
}

export type EmittedEvent = "progress" | "log" | "partial" | "checkpoint";

/** A call of a program. `task` is the number of a start; -1 is a task that does not exist. */
export type Call =
  | StartCall
  /** The code of the task emits events, and waits until they are durable. */
  | { call: "emit"; task: number; events: readonly EmittedEvent[]; value: number }
  /** The code asks for the last checkpoint of earlier attempts. */
  | { call: "checkpoint"; task: number }
  /** The code throws an error. */
  | { call: "fail"; task: number; reason: string; isFinal: boolean }
  /** The code returns. */
  | { call: "end"; task: number; value: number }
  | { call: "cancel"; task: number; reason: string; by: string | null }
  | { call: "delete"; task: number }
  | { call: "read"; task: number }
  | { call: "page"; task: number; fromSeq: number; limit: number }
  | { call: "follow"; task: number; fromSeq: number }
  | { call: "result"; task: number }
  | { call: "list"; limit: number; statuses: readonly string[]; kinds: readonly KindName[]; label: "a" | "b" | null }
  /** Reads a stream over many tasks until it has everything that there is. */
  | { call: "follow tasks"; from: "start" | "now" | "cursor" };

export type Program = readonly Call[];

/** An answer to a call. Tasks are named by the number of their start, and times only by whether they are set. */
export type Answer = Readonly<Record<string, unknown>>;

export const NO_TASK = -1;

/** The name of a task in an answer. */
export function nameOf(task: number): string {
  return task === NO_TASK ? "none" : `t${task}`;
}

/** The events that the code emits for a call. */
export function eventsOf(events: readonly EmittedEvent[], value: number): { type: string; body: object }[] {
  return events.map((event, index) => {
    const number = value * 10 + index;
    switch (event) {
      case "progress":
        return { type: "progress", body: { phase: "step", current: number, total: 100 } };
      case "log":
        return { type: "log", body: { level: "INFO", message: `message ${number}` } };
      case "partial":
      case "checkpoint":
        return { type: "partial", body: { kind: event, payload: { number } } };
    }
  });
}
