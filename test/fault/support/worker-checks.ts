import type { StoredEvent, StoredTape } from "./tapes.ts";
import type { WorkerNote } from "./worker-notes.ts";

// What is promised to workers, held against the tapes and against what their processes have written down.

/** What stands on a tape between the beginning and the end of an attempt. */
interface StoredAttempt {
  attempt: number;
  /** Of the code of the attempt, in the order of the tape. */
  emitted: StoredEvent[];
  /** How it ended; null: it has not. */
  end: StoredEvent | null;
}

/** How an event was marked by who emitted it. */
interface Mark {
  attempt: number;
  number: number;
  pid: number;
}

export function attemptsOf({ events }: StoredTape): StoredAttempt[] {
  const attempts: StoredAttempt[] = [];
  for (const event of events) {
    const current = attempts.at(-1);
    if (event.type === "started") attempts.push({ attempt: Number(event.body["attempt"]), emitted: [], end: null });
    else if (event.type === "retrying" || event.type === "final") {
      if (current !== undefined && current.end === null) current.end = event;
    } else if (event.type !== "cancel_requested") current?.emitted.push(event);
  }
  return attempts;
}

/** Each attempt's events are numbered 1, 2, 3, … in the order in which its code emitted them, and of one process. */
export function numberFaults(tape: StoredTape): string[] {
  return attemptsOf(tape).flatMap(({ attempt, emitted }) =>
    emitted.flatMap((event, index) => {
      const mark = markOf(event);
      const faults: string[] = [];
      if (mark.attempt !== attempt)
        faults.push(`event ${event.seq} of attempt ${mark.attempt} is in attempt ${attempt}`);
      if (mark.number !== index + 1) faults.push(`event ${event.seq} has number ${mark.number}, not ${index + 1}`);
      if (mark.pid !== markOf(emitted[0]!).pid) faults.push(`event ${event.seq} is of another process`);
      return faults;
    }),
  );
}

/** What of the events that a worker was told are stored is not on the tape. With numberFaults: is there not just once. */
export function storedFaults(tape: StoredTape, notes: readonly WorkerNote[]): string[] {
  const attempts = new Map(attemptsOf(tape).map((attempt) => [attempt.attempt, attempt.emitted]));
  return notes.flatMap((note) => {
    if (note.type !== "stored" || note.taskId !== tape.taskId) return [];
    const emitted = attempts.get(note.attempt);
    const found = emitted?.filter((event) => markOf(event).number <= note.events && markOf(event).pid === note.pid);
    if (found?.length === note.events) return [];
    return [
      `process ${note.pid} was told of ${note.events} events of attempt ${note.attempt}: ${found?.length} are there`,
    ];
  });
}

/** When processes of workers were ended, or told to end, by their pids. */
export type Ends = ReadonlyMap<number, Date>;

/** An attempt that was given up as lost. */
export interface LostAttempt {
  taskId: string;
  attempt: number;
  /** Why, as far as can be told; `none`: its worker lived, was connected, and was never told that its session is over. */
  because: "its worker was ended" | "its worker was away" | "its session was lost" | "never begun" | "none";
  /** From its last event on. */
  afterMs: number;
}

/** Which attempts ended as lost with their worker, and what became of that worker. */
export function lostAttempts(tape: StoredTape, notes: readonly WorkerNote[], ends: Ends): LostAttempt[] {
  return attemptsOf(tape).flatMap(({ attempt, emitted, end }) => {
    if (end === null || (end.body["error"] as { reason?: string } | undefined)?.reason !== "WORKER_LOST") return [];
    const begun = notes.find(
      (note) => note.type === "began" && note.taskId === tape.taskId && note.attempt === attempt,
    );
    const lastUs = emitted.at(-1)?.timeUs ?? tape.events.find(({ seq }) => seq === end.seq - 1)!.timeUs;
    const afterMs = (end.timeUs - lastUs) / 1_000;
    return [{ taskId: tape.taskId, attempt, because: causeOf(begun, end.timeUs / 1_000, notes, ends), afterMs }];
  });
}

/** @param at when it was given up */
function causeOf(
  begun: WorkerNote | undefined,
  at: number,
  notes: readonly WorkerNote[],
  ends: Ends,
): LostAttempt["because"] {
  if (begun === undefined) return "never begun";
  const endedAt = ends.get(begun.pid);
  if (endedAt !== undefined && endedAt.getTime() <= at) return "its worker was ended";
  const ofSession = notes.filter(
    ({ type, pid }) => pid === begun.pid && (type === "connected" || type === "disconnected"),
  );
  if (ofSession.findLast((note) => note.at <= at)?.type === "disconnected") return "its worker was away";
  const isLost = ofSession.some((note) => note.type === "connected" && !note.resumed && note.at > begun.at);
  return isLost ? "its session was lost" : "none";
}

function markOf({ type, body }: StoredEvent): Mark {
  const mark = type === "partial" ? body["payload"] : body["detail"];
  return mark as unknown as Mark;
}
