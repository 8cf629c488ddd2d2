import type { ColumnType, Generated, RawBuilder, Selectable } from "kysely";
import type { JsonObject } from "../../domain/json.ts";
import { DEFAULT_RETRY_POLICY } from "../../domain/retry.ts";
import type { AskedRetry, RetryPolicy } from "../../domain/retry.ts";
import type { Task, TaskStatus } from "../../domain/task.ts";
import { namesOf } from "../array-columns.ts";
import type { ArrayColumn } from "../array-columns.ts";
import type { Json } from "../json-column.ts";
import type { NewTask } from "./new-task.ts";

export interface TaskTable {
  task_id: string;
  namespace: string;
  kind: string;
  status: TaskStatus;
  params: Json<JsonObject>;
  params_digest: string;
  labels: ColumnType<Record<string, string>, string, never>;
  request_id: string | null;
  exclusive_key: string | null;
  created_at: Generated<Date>;
  started_at: Date | null;
  finished_at: Date | null;
  run_at: Date | null;
  deadline_at: Date | null;
  /** The deadline of the running attempt. */
  attempt_deadline_at: Date | null;
  timeout_ms: bigint | null;
  /** null: as the settings of the servers say. */
  retention_ms: bigint | null;
  attempt: Generated<number>;
  max_attempts: number;
  handovers: Generated<number>;
  /** How many attempts in a row have ended with a crash of their process. */
  crashes: Generated<number>;
  /** The digest of all that the start asked for; null: no request_id, or stored before digests existed. */
  request_digest: string | null;
  /** null: the default. */
  retry_policy: ColumnType<RetryPolicy | null, string | null, string | null>;
  lease: string | null;
  cancel_requested_at: Date | null;
  cancel_reason: string | null;
  last_seq: Generated<bigint>;
  /** How many events the current attempt has appended. By this number, a retried flush is recognized. */
  appended: Generated<bigint>;
  checkpoint_seq: bigint | null;
  traceparent: string | null;
  /** Principals, by name. null: unknown. */
  started_by: string | null;
  cancelled_by: string | null;
  /** The transaction that ended the task; 0: ended before the column existed; null: not ended. */
  ended_xid: bigint | null;
  /** The attempts and retries that the start asked for, until a process validates the task; null: it is validated. */
  unchecked: ColumnType<AskedRetry | null, string | null, null>;
  /** The events up to this seq are in packed_events; 0: none. */
  packed_seq: Generated<bigint>;
  /** Whether the task waits for a held exclusive key. If so, claims do not read the task until the key is free. */
  blocked: Generated<boolean>;
}

type Row = Selectable<TaskTable>;

/** The value of a column in a new task. Columns without one are set by the statement that creates the task. */
type Created = Omit<ArrayColumn<NewTask>, "name"> & {
  /** The type of the column, if the elements of the array have another type. */
  cast?: string;
};

/** The column that stores a field of Task. `read` converts the column to the field, if their types differ. */
type ColumnOf<Field extends keyof Task> = {
  [Name in keyof TaskTable]: { column: Name; created?: Created } & (Row[Name] extends Task[Field]
    ? { read?: undefined }
    : { read: (stored: Row[Name]) => Task[Field] });
}[keyof TaskTable];

/** Each field of Task with its column. Selects, inserts and conversion of rows are derived from this table. */
const COLUMNS = {
  taskId: { column: "task_id", created: { type: "uuid", value: ({ taskId }) => taskId } },
  kind: { column: "kind", created: { type: "text", value: ({ request }) => request.kind } },
  status: { column: "status" },
  params: { column: "params", created: { type: "text", cast: "json", value: ({ params }) => params } },
  paramsDigest: { column: "params_digest", created: { type: "text", value: ({ paramsDigest }) => paramsDigest } },
  labels: {
    column: "labels",
    created: { type: "text", cast: "jsonb", value: ({ request }) => JSON.stringify(request.labels) },
  },
  requestId: { column: "request_id", created: { type: "text", value: ({ request }) => request.requestId } },
  exclusiveKey: { column: "exclusive_key", created: { type: "text", value: ({ exclusiveKey }) => exclusiveKey } },
  createdAt: { column: "created_at" },
  startedAt: { column: "started_at" },
  finishedAt: { column: "finished_at" },
  runAt: { column: "run_at", created: { type: "timestamptz", value: ({ request }) => timeText(request.runAt) } },
  deadlineAt: {
    column: "deadline_at",
    created: { type: "timestamptz", value: ({ request }) => timeText(request.deadlineAt) },
  },
  attemptDeadlineAt: { column: "attempt_deadline_at" },
  timeoutMs: {
    column: "timeout_ms",
    read: (stored: bigint | null) => (stored === null ? null : Number(stored)),
    created: { type: "bigint", value: ({ request }) => request.timeoutMs },
  },
  retentionMs: {
    column: "retention_ms",
    read: (stored: bigint | null) => (stored === null ? null : Number(stored)),
    created: { type: "bigint", value: ({ request }) => request.retentionMs },
  },
  attempt: { column: "attempt" },
  maxAttempts: { column: "max_attempts", created: { type: "int", value: ({ maxAttempts }) => maxAttempts } },
  handovers: { column: "handovers" },
  crashes: { column: "crashes" },
  retryPolicy: {
    column: "retry_policy",
    read: (stored: RetryPolicy | null) => stored ?? DEFAULT_RETRY_POLICY,
    created: {
      type: "text",
      cast: "json",
      value: ({ retryPolicy }) => (retryPolicy === DEFAULT_RETRY_POLICY ? null : JSON.stringify(retryPolicy)),
    },
  },
  cancelRequestedAt: { column: "cancel_requested_at" },
  cancelReason: { column: "cancel_reason" },
  lease: { column: "lease", created: { type: "uuid", value: ({ lease }) => lease } },
  checkpointSeq: { column: "checkpoint_seq" },
  lastSeq: { column: "last_seq" },
  traceparent: { column: "traceparent", created: { type: "text", value: ({ request }) => request.traceparent } },
  startedBy: { column: "started_by", created: { type: "text", value: ({ request }) => request.startedBy } },
  cancelledBy: { column: "cancelled_by" },
} as const satisfies { [Field in keyof Task]: ColumnOf<Field> };

type TaskColumn = (typeof COLUMNS)[keyof Task]["column"];
type SummaryColumn = Exclude<TaskColumn, "params">;

/** A row with TASK_COLUMNS or SUMMARY_COLUMNS. */
export type TaskRow = Pick<Row, SummaryColumn> & Partial<Pick<Row, "params">>;

const ENTRIES = Object.entries(COLUMNS) as [keyof Task, ColumnOf<keyof Task>][];

/** The columns of a whole Task. */
export const TASK_COLUMNS = ENTRIES.map(([, { column }]) => column as TaskColumn);

/** The columns of a Task without its params. */
export const SUMMARY_COLUMNS = TASK_COLUMNS.filter((column): column is SummaryColumn => column !== "params");

/** SUMMARY_COLUMNS of `tasks t`, for a statement in SQL. */
export const SUMMARY_LIST: RawBuilder<unknown> = namesOf(SUMMARY_COLUMNS, "t");

/** TASK_COLUMNS of `tasks t`, for a statement in SQL. */
export const TASK_LIST: RawBuilder<unknown> = namesOf(TASK_COLUMNS, "t");

/** Returns the task of a row. Its params are null if the row has none. */
export function toTask(row: TaskRow): Task {
  const task: Record<string, unknown> = {};
  for (const [field, { column, read }] of ENTRIES) {
    const stored = row[column as TaskColumn];
    task[field] = read === undefined ? (stored ?? null) : (read as (stored: unknown) => unknown)(stored);
  }
  return task as unknown as Task;
}

/**
 * Returns the columns of a whole Task by their names, as `json_populate_recordset` reads them. The inverse of toTask.
 */
export function toColumns(task: Task): Record<string, unknown> {
  const columns = ENTRIES.map(([field, { column }]) => [column, task[field]]);
  const row = Object.fromEntries(columns) as Record<TaskColumn, unknown>;
  const isDefault = Object.entries(DEFAULT_RETRY_POLICY).every(
    ([name, value]) => task.retryPolicy[name as keyof RetryPolicy] === value,
  );
  return {
    ...row,
    last_seq: `${task.lastSeq}`,
    checkpoint_seq: numberText(task.checkpointSeq),
    ...(isDefault && { retry_policy: null }),
  };
}

function numberText(value: bigint | null): string | null {
  return value === null ? null : `${value}`;
}

/** The columns of a new task that its creator sets, including columns that are not fields of Task. */
export const CREATED_COLUMNS: readonly (ArrayColumn<NewTask> & { cast?: string })[] = [
  ...ENTRIES.flatMap(([, { column, created }]) => (created === undefined ? [] : [{ name: column, ...created }])),
  { name: "namespace", type: "text", value: ({ namespace }) => namespace },
  { name: "request_digest", type: "text", value: ({ requestDigest }) => requestDigest },
  {
    name: "unchecked",
    type: "text",
    cast: "json",
    value: ({ isUnvalidated, request }) => (isUnvalidated ? askedText(request) : null),
  },
];

function timeText(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}

function askedText({ maxAttempts, retryPolicy }: AskedRetry): string {
  return JSON.stringify({ maxAttempts, retryPolicy } satisfies AskedRetry);
}
