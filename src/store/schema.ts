import type { ColumnType, Generated } from "kysely";
import type { EventType } from "../domain/event.ts";
import type { KindOffer, StalledTask } from "../domain/session.ts";
import type { Json } from "./json-column.ts";
import type { TaskTable } from "./tasks/task-columns.ts";

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
