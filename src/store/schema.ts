import type { ColumnType, Generated } from "kysely";
import type { EventType } from "../domain/event.ts";
import type { JsonObject } from "../domain/json.ts";
import type { AskedRetry, RetryPolicy } from "../domain/retry.ts";
import type { KindOffer, StalledTask } from "../domain/session.ts";
import type { TaskStatus } from "../domain/task.ts";

/** `json`, not jsonb: it keeps the text exactly (jsonb refuses \u0000), costs less to write and is open to SQL. */
type Json<Value> = ColumnType<Value, string, string>;

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
  /** Of the attempt that runs. */
  attempt_deadline_at: Date | null;
  timeout_ms: bigint | null;
  attempt: Generated<number>;
  max_attempts: number;
  handovers: Generated<number>;
  /** How many attempts in a row have ended with their process. */
  crashes: Generated<number>;
  /** What its start asked for, as a digest; null: it has no request_id, or was stored before there were such. */
  request_digest: string | null;
  /** null: the default. */
  retry_policy: ColumnType<RetryPolicy | null, string | null, string | null>;
  lease: string | null;
  cancel_requested_at: Date | null;
  cancel_reason: string | null;
  last_seq: Generated<bigint>;
  /** How many events the owner of this attempt has appended: recognises a flush that is sent again. */
  appended: Generated<bigint>;
  checkpoint_seq: bigint | null;
  traceparent: string | null;
  /** The transaction that ended it; 0 where it ended before such was kept, null where it has not ended. */
  ended_xid: bigint | null;
  /** What its start says of attempts, until one who has its kind has looked it over; null: it may run. */
  unchecked: ColumnType<AskedRetry | null, string | null, null>;
  /** It waits for an exclusive key that is held, and no claim reads it until the key is free. */
  blocked: Generated<boolean>;
}

export interface TaskEventTable {
  task_id: string;
  seq: bigint;
  time: Date;
  type: EventType;
  body: Json<unknown>;
}

/** Which task a request_id started. A table of its own, so that its key holds without the tasks table's shard key. */
export interface TaskRequestTable {
  namespace: string;
  request_id: string;
  task_id: string;
}

/** Which running task holds an exclusive key. */
export interface TaskExclusiveTable {
  namespace: string;
  exclusive_key: string;
  task_id: string;
}

/** The servers and workers that own leases; alive until expires_at. */
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
  /** SHA-256 of the token by which a worker resumes it, in hex; null: a server's. */
  token_digest: string | null;
  /** Which of its streams a worker is connected by, counted from 1: the one before it has no say any more. */
  connection: Generated<number>;
  /** The tasks that it owns and that do not run, as of seen_at. */
  stalled: ColumnType<readonly StalledTask[], string | undefined, string>;
  /** It has said that it is about to end: that it is lost then says nothing of its tasks. */
  is_leaving: Generated<boolean>;
}

export interface Database {
  tasks: TaskTable;
  task_events: TaskEventTable;
  task_requests: TaskRequestTable;
  task_exclusives: TaskExclusiveTable;
  sessions: SessionTable;
}
