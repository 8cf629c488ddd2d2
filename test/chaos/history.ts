// The history of a chaos run: what the harness writes and what the checker reads. One JSON object a line, in the order
// in which the harness saw them. Nothing here knows how Spool is built.

export type Status = "pending" | "running" | "succeeded" | "failed" | "cancelled";
export type View = "recorded" | "folded";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What every line has. `at`: ms since the start of the run, by one monotonic clock, with fractions. */
interface At {
  at: number;
}

/** The error of a call or of a stream. */
export interface Refusal {
  /** The gRPC status by its name: `UNAVAILABLE`. */
  code: string;
  /** The reason of the service's ErrorInfo: `STORE_UNAVAILABLE`. null: the error has none. */
  reason: string | null;
  message: string;
  /** Whether no server answered: the caller's own library made the error, as of a lost connection or a passed deadline. */
  isLocal: boolean;
}

/** An answer, or an error in its place: a line with `code` is an error. */
type OrRefusal<Answer> = (Answer & { code?: undefined }) | Refusal;

/** A partial with a series, so that the folded view can be compared with the recorded one. */
export interface SeriesPart {
  /** Of the partial. */
  kind: string;
  /** Of the series. */
  name: string;
  mode: "append" | "latest" | "all";
  /** Mode append: the text of the partial; of a part of a folded event: the joined text. */
  text?: string;
  /** Any other mode: hash of the payload; of a part of a folded event: that of the last payload. */
  payload?: string;
}

/** A part of a folded event. */
export interface FoldedPart extends SeriesPart {
  count: number;
  firstSeq: number;
  lastSeq: number;
}

/** An event as a reader saw it. */
export interface SeenEvent {
  /** Of a folded event: the first seq that it covers. */
  seq: number;
  /** Only of a folded event: the last seq that it covers, which is its own on the wire. A reader goes on after it. */
  coversTo?: number;
  /** started, progress, log, partial, cancel_requested, retrying, final, folded. */
  type: string;
  /** Hash of the body and the time. The same event has the same digest in every answer. */
  digest: string;
  /** Of `started`, and of an event whose body names the attempt that emitted it. */
  attempt?: number;
  /** Only of `final`. */
  status?: Status;
  /** Only of `final`: hash of its outcome. The `digest` of a GetResult and `result` of `settled` hash the same. */
  outcome?: string;
  /** Only of a partial with a series, in the recorded form. */
  series?: SeriesPart;
  /** Only of `folded`. */
  parts?: FoldedPart[];
}

/** The same in a line of its own, whose `type` is the line's. */
export type EventFields = Omit<SeenEvent, "type"> & { eventType: string };

/** The first line. */
export interface RunLine extends At {
  type: "run";
  seed: string;
  minutes: number;
  /** ISO 8601. */
  startedAt: string;
  /** Whether the harness attached to running servers: then no line `attempt` is written. */
  isAttached: boolean;
}

/**
 * A fault, written when it is over: `at` is when it began and `until` when it was healed, so that `at` may be earlier
 * than that of the line before. `details` names what was hit: `target`, and `pid` where a process was killed or stopped.
 */
export interface FaultLine extends At {
  type: "fault";
  name: string;
  until: number;
  details: { target: string; pid?: number; [key: string]: Json | undefined };
}

export interface StartSent extends At {
  type: "start_sent";
  client: string;
  call: number;
  /** null: none. */
  requestId: string | null;
  namespace: string;
  kind: string;
  params: Json;
  labels: Record<string, string>;
  /** Tasks of one kind and key run one at a time. null: the task has none. */
  exclusiveKey: string | null;
  /** When the task may begin, and when it must have ended, as in `at`. */
  runAt?: number;
  deadlineAt?: number;
  /** How long it is kept after its end: it may be gone after that, and not before. */
  retentionMs?: number;
  maxAttempts?: number;
}
export type StartAnswered = At & { type: "start_answered"; client: string; call: number } & OrRefusal<{
    taskId: string;
    alreadyStarted: boolean;
    status: Status;
    lastSeq: number;
    attempt: number;
  }>;

interface OneTaskSent extends At {
  client: string;
  call: number;
  namespace: string;
  taskId: string;
}
type OneTaskAnswered<Type, Answer> = At & {
  type: Type;
  client: string;
  call: number;
  taskId: string;
} & OrRefusal<Answer>;

export type CancelSent = OneTaskSent & { type: "cancel_sent" };
export type CancelAnswered = OneTaskAnswered<
  "cancel_answered",
  { outcome: "cancelled" | "requested" | "already_terminal"; status: Status; lastSeq: number; attempt: number }
>;

export type DeleteSent = OneTaskSent & { type: "delete_sent" };
export type DeleteAnswered = OneTaskAnswered<"delete_answered", { alreadyDeleted: boolean }>;

export type ReadSent = OneTaskSent & { type: "read_sent" };
export type ReadAnswered = OneTaskAnswered<
  "read_answered",
  { status: Status; lastSeq: number; attempt: number; isCancelRequested: boolean }
>;

export type PageSent = OneTaskSent & { type: "page_sent"; fromSeq: number; view: View; limit: number; waitMs: number };
export type PageAnswered = OneTaskAnswered<
  "page_answered",
  {
    fromSeq: number;
    view: View;
    status: Status;
    lastSeq: number;
    nextFromSeq: number;
    hasMore: boolean;
    events: SeenEvent[];
  }
>;

export type ResultSent = OneTaskSent & { type: "result_sent"; waitMs: number };
export type ResultAnswered = OneTaskAnswered<"result_answered", { status: Status; digest: string }>;

/** A follower has opened a stream of a tape, or has come back. It has one stream at a time. */
export interface OpenedLine extends At {
  type: "opened";
  follower: string;
  namespace: string;
  taskId: string;
  fromSeq: number;
  view: View;
}
export type EventLine = At & { type: "event"; follower: string; taskId: string } & EventFields;

/** How a stream ended. `final`: OK. `left`: the follower left. `failed`: with an error. */
type StreamEnd = { reason: "final" | "left" } | ({ reason: "failed" } & { error: Refusal });
export type EndedLine = At & { type: "ended"; follower: string; taskId: string } & StreamEnd;

/**
 * A follower of a namespace has opened a stream over many tasks, or has come back. `cursor` is a label of the harness:
 * that of the last `news` before the cursor was given, and not always the last `news` of the follower. No two followers
 * have a label in common. null: none, or a cursor of before the first `news`, which stands for the same.
 */
export interface TasksOpened extends At {
  type: "tasks_opened";
  follower: string;
  namespace: string;
  cursor: string | null;
  /** Without a cursor: from the first event of all tapes on; false: what is recorded after the stream was opened. */
  fromStart: boolean;
  /** Only tasks of these kinds. Empty: all. */
  kinds: string[];
}
/** `cursor`: the label of the cursor of its frame. All events of one frame have the same. */
export type NewsLine = At & {
  type: "news";
  follower: string;
  namespace: string;
  taskId: string;
  cursor: string;
} & EventFields;
export type TasksEnded = At & { type: "tasks_ended"; follower: string; namespace: string } & StreamEnd;

/** A whole list, all of its pages. With `code`, one page was refused and the list was given up. */
export type ListedLine = At & {
  type: "listed";
  client: string;
  namespace: string;
  /** When the first page was sent. */
  sentAt: number;
  /** Empty: all. */
  kinds: string[];
  statuses: Status[];
  /** Hashes, in order: of the second page and of those after it. */
  pageTokens: string[];
  /** In the order of the list. */
  taskIds: string[];
} & (Refusal | { code?: undefined });

/** What really ran, written by the code of the kinds itself. Lines of one process are in order. */
export interface AttemptLine extends At {
  type: "attempt";
  taskId: string;
  attempt: number;
  /** The process by its name in `details.target` of faults. */
  worker: string;
  pid: number;
  what: "began" | "step" | "ended";
  /** Of a step: from 1. */
  step?: number;
  /** Of `ended`. `signalled`: the code was told to stop, and does nothing from then on. */
  how?: "returned" | "threw" | "signalled";
  exclusiveKey: string | null;
}

/** At the end of the run: a task that some answer named, read over the protos alone, after all faults were healed. */
export type SettledLine = At & { type: "settled"; taskId: string; namespace: string } & OrRefusal<{
    kind: string;
    requestId: string | null;
    status: Status;
    attempt: number;
    lastSeq: number;
    /** The whole tape in the recorded view. `body` only of `final`. */
    events: (SeenEvent & { body?: Json })[];
    /** Hash of the result. null: the task has not ended. */
    result: string | null;
  }>;

export type HistoryLine =
  | RunLine
  | FaultLine
  | StartSent
  | StartAnswered
  | CancelSent
  | CancelAnswered
  | DeleteSent
  | DeleteAnswered
  | ReadSent
  | ReadAnswered
  | PageSent
  | PageAnswered
  | ResultSent
  | ResultAnswered
  | OpenedLine
  | EventLine
  | EndedLine
  | TasksOpened
  | NewsLine
  | TasksEnded
  | ListedLine
  | AttemptLine
  | SettledLine;

/** The answer to a call about one task. */
type AnsweredLine = Extract<HistoryLine, { type: `${string}_answered` }>;

export function isAnswered(line: HistoryLine): line is AnsweredLine {
  return line.type.endsWith("_answered");
}
