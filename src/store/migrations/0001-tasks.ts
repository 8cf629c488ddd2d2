import type { Stage } from "../stages/stage.ts";

const STATEMENTS: readonly string[] = [
  `create table tasks (
    task_id uuid primary key,
    namespace text not null,
    kind text not null,
    status text not null check (status in ('pending', 'running', 'succeeded', 'failed', 'cancelled')),
    params json not null,
    params_digest text not null,
    labels jsonb not null,
    request_id text,
    exclusive_key text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz,
    run_at timestamptz,
    deadline_at timestamptz,
    attempt_deadline_at timestamptz,
    timeout_ms bigint,
    attempt int not null default 0,
    max_attempts int not null check (max_attempts >= 1),
    handovers int not null default 0,
    retry_policy json,
    lease uuid,
    cancel_requested_at timestamptz,
    cancel_reason text,
    last_seq bigint not null default 0,
    appended bigint not null default 0,
    checkpoint_seq bigint,
    traceparent text,
    constraint finished_when_terminal
      check ((status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint owned_while_running check ((status = 'running') = (lease is not null))
  ) with (fillfactor = 80)`,
  // Each flush updates the row of a running task, but no indexed column. Free space in the page keeps such updates HOT.
  `create index tasks_newest on tasks (namespace, task_id desc)`,
  `create index tasks_by_status on tasks (namespace, status, task_id desc)`,
  `create index tasks_by_kind on tasks (namespace, kind, task_id desc)`,
  `create index tasks_by_label on tasks using gin (labels jsonb_path_ops)`,
  `create index tasks_waiting on tasks (namespace, coalesce(run_at, created_at), task_id) where status = 'pending'`,
  `create index tasks_waiting_in_turn on tasks (namespace, exclusive_key, task_id)
    where status = 'pending' and exclusive_key is not null`,
  `create index tasks_expiring on tasks (namespace, deadline_at) where status = 'pending' and deadline_at is not null`,
  `create index tasks_owned on tasks (lease) where status = 'running'`,

  `create table task_events (
    task_id uuid not null,
    seq bigint not null check (seq >= 1),
    time timestamptz not null,
    type text not null,
    body json not null,
    primary key (task_id, seq)
  )`,
  // Stored uncompressed, so that the size of a body is known without reading it.
  `alter table task_events alter column body set storage external`,
  `create unique index task_events_one_final on task_events (task_id) where type = 'final'`,

  `create table task_requests (
    namespace text not null,
    request_id text not null,
    task_id uuid not null,
    primary key (namespace, request_id)
  )`,

  `create table task_exclusives (
    namespace text not null,
    exclusive_key text not null,
    task_id uuid not null,
    primary key (namespace, exclusive_key)
  )`,
  `create index task_exclusives_by_task on task_exclusives (task_id)`,

  `create table sessions (
    session_id uuid primary key,
    namespace text not null,
    host text not null,
    pid int not null,
    started_at timestamptz not null default now(),
    expires_at timestamptz not null
  )`,
];

/**
 * Creates the tables of tasks, their tapes and sessions. There are no triggers, and no foreign keys between tape and task.
 */
export const stages: readonly Stage[] = [{ type: "transaction", table: null, statements: STATEMENTS }];
