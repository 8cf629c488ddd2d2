import type { ColumnType, Generated } from "kysely";
import type { EventType } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { KindOffer, StalledTask } from "../domain/session.ts";
import type { Json } from "./json-column.ts";
import type { TaskTable } from "./tasks/task-columns.ts";
import type {
  AuditEventTable,
  MovedNamespaceTable,
  NamespaceMoveTable,
  NamespaceTable,
  ShardTable,
  SigningKeyTable,
  TokenTable,
} from "./access-schema.ts";

export interface TaskEventTable {
  task_id: string;
  seq: bigint;
  time: Date;
  type: EventType;
  body: Json<unknown>;
}

/** Consecutive events of an ended task, in one row: see migrations/0013-packed-events.ts. */
export interface PackedEventTable {
  task_id: string;
  first_seq: bigint;
  last_seq: bigint;
  /** The size of `bodies`, in bytes. */
  bytes: number;
  types: string;
  times: Uint8Array;
  /** The transaction that wrote each event. */
  xids: readonly bigint[];
  bodies: string;
}

/** How far a sweep over ended tasks has come: all tasks that ended up to this place are done. */
export interface SweepCursorTable {
  namespace: string;
  sweep: string;
  finished_at: Date;
  task_id: string;
}

/** The task that a request_id started. In a separate table, the key is unique without the shard key of `tasks`. */
export interface TaskRequestTable {
  namespace: string;
  request_id: string;
  task_id: string;
}

/** The running task that holds an exclusive key. */
export interface TaskExclusiveTable {
  namespace: string;
  exclusive_key: string;
  task_id: string;
}

/** The sessions of servers and workers. A session is alive until expires_at. */
export interface SessionTable {
  session_id: string;
  namespace: string;
  host: string;
  pid: number;
  started_at: Generated<Date>;
  expires_at: Date;
  kinds: Json<readonly KindOffer[]>;
  capacity: number;
  seen_at: Generated<Date>;
  /** SHA-256, in hex, of the token by which a worker resumes the session; null: a session of a server. */
  token_digest: string | null;
  /** The number of the worker's current stream, from 1. Writes by its earlier streams have no effect. */
  connection: Generated<number>;
  /** The tasks that the session owns and that do not run, as of seen_at. */
  stalled: ColumnType<readonly StalledTask[], string | undefined, string>;
  /** Whether the session is about to end in order. If so, its loss does not count as a crash of its tasks. */
  is_leaving: Generated<boolean>;
  /** Whether the server of the session can read packed events. */
  reads_packed: Generated<boolean>;
  /** Whether the server of the session serves each namespace from its shard. */
  knows_shards: Generated<boolean>;
}

/** The marker of a removed task. */
export interface RemovedTaskTable {
  task_id: string;
  namespace: string;
  removed_at: Generated<Date>;
  /** Whether events of the task may still be stored. */
  events_left: boolean;
}

/** A kind with a removal hook. */
export interface HookedKindTable {
  namespace: string;
  kind: string;
}

/** A hook of a removed task that has not succeeded yet. */
export interface RemovalHookTable {
  task_id: string;
  namespace: string;
  kind: string;
  params: Json<JsonObject>;
  labels: ColumnType<Record<string, string>, string, never>;
  removed_at: Generated<Date>;
  /** When the next attempt is due. While a process runs the hook: when its claim ends. */
  due_at: Generated<Date>;
  /** The number of the last attempt; 0: none yet. */
  attempt: Generated<number>;
  last_error: string | null;
}

export interface Database {
  tasks: TaskTable;
  task_events: TaskEventTable;
  packed_events: PackedEventTable;
  task_requests: TaskRequestTable;
  task_exclusives: TaskExclusiveTable;
  sessions: SessionTable;
  removed_tasks: RemovedTaskTable;
  sweep_cursors: SweepCursorTable;
  hooked_kinds: HookedKindTable;
  removal_hooks: RemovalHookTable;
  namespaces: NamespaceTable;
  shards: ShardTable;
  namespace_moves: NamespaceMoveTable;
  moved_namespaces: MovedNamespaceTable;
  tokens: TokenTable;
  signing_keys: SigningKeyTable;
  audit_events: AuditEventTable;
}

/** The tables that hold rows for tasks and sessions, for reports on locks and on vacuum. */
export const SERVICE_TABLES: readonly (keyof Database)[] = [
  "tasks",
  "task_events",
  "packed_events",
  "task_requests",
  "task_exclusives",
  "sessions",
  "removed_tasks",
  "removal_hooks",
];
