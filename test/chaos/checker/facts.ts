// What a history says, by task: calls with their answers, and the events that readers were shown.

import type {
  CancelAnswered,
  CancelSent,
  DeleteAnswered,
  DeleteSent,
  EndedLine,
  FaultLine,
  HistoryLine,
  ListedLine,
  OpenedLine,
  PageAnswered,
  PageSent,
  ReadAnswered,
  ReadSent,
  Refusal,
  ResultAnswered,
  ResultSent,
  SeenEvent,
  SettledLine,
  StartAnswered,
  StartSent,
} from "../history.ts";

/** A line with its position in the history. Of two lines of the harness, the one with the lower index came first. */
export interface Placed<Line> {
  line: Line;
  index: number;
}

/** A call. Its answer may be missing. */
export interface Call<Sent, Answered> {
  sent: Placed<Sent>;
  answered: Placed<Answered> | null;
}

/** A call whose answer is not an error. */
export interface Acknowledged<Sent, Answered> {
  sent: Placed<Sent>;
  answered: Placed<Exclude<Answered, Refusal>>;
}

export type StartCall = Call<StartSent, StartAnswered>;
export type CancelCall = Call<CancelSent, CancelAnswered>;
export type DeleteCall = Call<DeleteSent, DeleteAnswered>;
export type ReadCall = Call<ReadSent, ReadAnswered>;
export type PageCall = Call<PageSent, PageAnswered>;
export type ResultCall = Call<ResultSent, ResultAnswered>;

/** One stream of a tape, from its opening to its end or to the end of the history. */
export interface Stream {
  opened: Placed<OpenedLine>;
  events: Sighting[];
  ended: Placed<EndedLine> | null;
}

/** An event in an answer or in a stream. */
export interface Sighting {
  event: SeenEvent;
  index: number;
  at: number;
  /** Where a reader saw the event, for messages. */
  by: string;
}

export type List = Exclude<ListedLine, Refusal>;
export type Settled = Exclude<SettledLine, Refusal>;

export interface TaskFacts {
  taskId: string;
  namespace: string;
  kind: string | null;
  /** The acknowledged starts that named the task. */
  starts: Acknowledged<StartSent, StartAnswered>[];
  cancels: CancelCall[];
  deletes: DeleteCall[];
  reads: ReadCall[];
  pages: PageCall[];
  results: ResultCall[];
  streams: Stream[];
  settled: Placed<SettledLine> | null;
  /** Starts with a retention that have started the task, or may have, because their answer was lost. */
  retentions: { at: number; retentionMs: number }[];
  /** In the order of the history, all views. */
  sightings: Sighting[];
  /** The first sighting of each recorded event, by seq. */
  tape: Map<number, Sighting>;
}

export interface Facts {
  lines: readonly HistoryLine[];
  tasks: ReadonlyMap<string, TaskFacts>;
  starts: readonly StartCall[];
  faults: readonly FaultLine[];
  /** The lists that were not refused. */
  lists: readonly Placed<List>[];
  isAttached: boolean;
  endAt: number;
}

/** Returns whether a line is an answer and not an error. */
export function isAnswer<Line extends object>(line: Line): line is Exclude<Line, Refusal> {
  return !("code" in line) || line.code === undefined;
}

/** Returns a call with its answer; null: there is none yet, or it is an error. */
export function acknowledged<Sent, Answered extends object>({
  sent,
  answered,
}: Call<Sent, Answered>): Acknowledged<Sent, Answered> | null {
  if (answered === null || !isAnswer(answered.line)) return null;
  return { sent, answered: { line: answered.line, index: answered.index } };
}

/** Returns the last seq that an event covers. */
export function lastSeqOf({ seq, coversTo }: SeenEvent): number {
  return coversTo ?? seq;
}

/** Returns the first final of a task that any reader saw. */
export function finalOf({ tape }: TaskFacts): Sighting | null {
  let first: Sighting | null = null;
  for (const sighting of tape.values()) {
    if (sighting.event.type === "final" && (first === null || sighting.event.seq < first.event.seq)) first = sighting;
  }
  return first;
}

/** Returns the tape of a settled task; null: the task was not settled, or its read failed. */
export function settledTape({ settled }: TaskFacts): Settled | null {
  return settled !== null && isAnswer(settled.line) ? settled.line : null;
}

/**
 * Returns whether a legal execution may have removed the task before a line: by a delete that was sent before the line,
 * answered or not, or because its retention has passed since its start.
 */
export function mayBeRemoved(task: TaskFacts, { index, at }: { index: number; at: number }): boolean {
  const isDeleted = task.deletes.some(({ sent, answered }) => sent.index < index && !isRefusedForGood(answered?.line));
  return isDeleted || task.retentions.some((start) => at > start.at + start.retentionMs);
}

/** Returns whether a refused delete has certainly deleted nothing. */
function isRefusedForGood(answer: DeleteAnswered | undefined): boolean {
  return answer !== undefined && !isAnswer(answer) && !answer.isLocal && answer.reason === "TASK_NOT_TERMINAL";
}
