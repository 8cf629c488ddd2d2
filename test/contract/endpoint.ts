import type { FoldedPart } from "../../src/client/types.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { RetryPolicy } from "../../src/domain/retry.ts";
import type { EventView } from "../../src/domain/series.ts";
import type { SessionState } from "../../src/domain/session.ts";
import type { Task, TaskStatus } from "../../src/domain/task.ts";
import type { Stage } from "../support/stage.ts";

/** An event as every endpoint can tell it: the body in the words of the tape. */
export interface EndpointEvent {
  seq: bigint;
  type: string;
  body: JsonObject;
}

export interface EndpointPage {
  status: TaskStatus;
  events: EndpointEvent[];
  nextFromSeq: bigint;
  lastSeq: bigint;
  hasMore: boolean;
}

/** The body of a folded event, in the words of the tape. */
export function foldedBody(event: { firstSeq: bigint; parts: readonly FoldedPart[] }): JsonObject {
  const parts = event.parts.map(({ kind, payload, series, count, firstSeq, lastSeq }) => {
    return { kind, payload, series: { ...series }, count, first_seq: `${firstSeq}`, last_seq: `${lastSeq}` };
  });
  return { first_seq: `${event.firstSeq}`, parts: parts as unknown as JsonObject[] };
}

/** What every endpoint tells of a task. */
export type EndpointTask = Pick<
  Task,
  | "taskId"
  | "kind"
  | "status"
  | "lastSeq"
  | "labels"
  | "startedAt"
  | "runAt"
  | "deadlineAt"
  | "attemptDeadlineAt"
  | "retentionMs"
  | "maxAttempts"
  | "handovers"
  | "retryPolicy"
> & { awaitsWorker: boolean };

/** That and no more of a task which has more, in the words of the domain. */
export function endpointTask(task: EndpointTask): EndpointTask {
  const { taskId, kind, status, lastSeq, labels, startedAt, runAt, deadlineAt, attemptDeadlineAt } = task;
  const { retentionMs, maxAttempts, handovers, retryPolicy, awaitsWorker } = task;
  const times = { startedAt, runAt, deadlineAt, attemptDeadlineAt };
  const limits = { ...times, retentionMs, maxAttempts, handovers, retryPolicy };
  return { taskId, kind, status, lastSeq, labels, ...limits, awaitsWorker };
}

export interface EndpointResult {
  status: TaskStatus;
  result?: JsonObject | undefined;
  error?: { reason: string; message: string } | undefined;
  isStarted: boolean;
}

export interface StartOptions {
  kind: string;
  params?: JsonObject;
  requestId?: string;
  labels?: Record<string, string>;
  timeoutMs?: number;
  maxAttempts?: number;
  retryPolicy?: Partial<RetryPolicy>;
  runAt?: Date;
  deadlineAt?: Date;
  retentionMs?: number;
}

/** Why an endpoint refused: the reason, and whatever details came with it. */
export class EndpointError extends Error {
  readonly reason: string;
  readonly fields: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Of gRPC; 0 at an endpoint that has none. */
  readonly code: number;

  constructor(reason: string, fields: readonly string[], metadata: Readonly<Record<string, string>>, code = 0) {
    super(`${reason} ${fields.join(", ")}`);
    this.name = "EndpointError";
    this.code = code;
    this.reason = reason;
    this.fields = fields;
    this.metadata = metadata;
  }
}

/** What a stream over many tasks gives at once. */
export interface EndpointNews {
  tasks: {
    taskId: string;
    kind: string;
    events: EndpointEvent[];
    /** In the view of tasks. */
    state: { status: TaskStatus; progress: JsonObject | null } | null;
  }[];
  cursor: string;
}

export interface FollowTasksOptions {
  labels?: Record<string, string>;
  cursor?: string | undefined;
  fromStart?: boolean;
  view?: "events" | "tasks";
}

export interface TapeQuery {
  taskId: string;
  fromSeq?: bigint;
  view?: EventView;
}

/** One way into Spool. The contract is written against this, and runs at each. Every call throws EndpointError. */
export interface Endpoint extends AsyncDisposable {
  /** Plays the code of the tasks of kind `stage`. */
  readonly stage: Stage;
  start(options: StartOptions): Promise<{ task: EndpointTask; alreadyStarted: boolean }>;
  get(taskId: string): Promise<EndpointTask>;
  list(filter: {
    pageSize?: number;
    statuses?: TaskStatus[];
    kinds?: string[];
    labels?: Record<string, string>;
    taskIdPrefix?: string;
  }): AsyncIterable<EndpointTask>;
  cancel(taskId: string, reason?: string): Promise<{ status: TaskStatus; outcome: string }>;
  /** Says whether the task had been removed before. */
  delete(taskId: string): Promise<boolean>;
  events(query: TapeQuery & { limit?: number; waitMs?: number }): Promise<EndpointPage>;
  follow(query: TapeQuery): AsyncIterable<EndpointEvent>;
  followTasks(query: FollowTasksOptions): AsyncIterable<EndpointNews>;
  result(query: { taskId: string; waitMs?: number }): Promise<EndpointResult>;
  sessions(): Promise<{ sessions: SessionState[]; hasMore: boolean }>;
}

/** The items of a stream, each of which is asked for by way of what makes EndpointErrors of errors. */
export async function* toldEach<Item>(
  items: AsyncIterable<Item>,
  told: <Answer>(call: Promise<Answer>) => Promise<Answer>,
): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await told(iterator.next());
      if (done) return;
      yield value as Item;
    }
  } finally {
    await iterator.return?.();
  }
}
