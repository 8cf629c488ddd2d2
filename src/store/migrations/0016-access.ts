import type { Stage } from "../stages/stage.ts";

/**
 * Adds the namespaces, the tokens of callers, the keys that sign tokens for single tasks, and the audit log. Adds to
 * tasks who has started and cancelled them. A column without a default changes no row.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: null,
    statements: [
      `create table if not exists namespaces (
        name text primary key,
        limits jsonb not null default '{}',
        created_at timestamptz not null default now(),
        created_by text not null,
        changed_at timestamptz not null default now()
      )`,
      `create table if not exists tokens (
        token_id uuid primary key,
        digest bytea not null unique check (octet_length(digest) = 32),
        name text not null,
        grants jsonb not null,
        created_at timestamptz not null default now(),
        created_by text not null,
        expires_at timestamptz,
        revoked_at timestamptz,
        revoked_by text,
        changed_at timestamptz not null default now()
      )`,
      `create table if not exists signing_keys (
        key_id uuid primary key,
        secret bytea not null,
        created_at timestamptz not null default now()
      )`,
      `create table if not exists audit_events (
        audit_id bigint generated always as identity primary key,
        time timestamptz not null default clock_timestamp(),
        namespace text,
        actor text not null,
        action text not null,
        target text not null,
        details jsonb not null default '{}'
      )`,
    ],
  },
  {
    type: "transaction",
    table: "tasks",
    statements: [
      `alter table tasks add column if not exists started_by text, add column if not exists cancelled_by text`,
    ],
  },
];
