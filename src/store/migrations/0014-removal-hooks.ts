import type { Stage } from "../stages/stage.ts";

/**
 * Adds the kinds with a removal hook, and the hooks that have not succeeded yet, with what they need of the removed task.
 * The index finds the hooks that are due.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: null,
    statements: [
      `create table hooked_kinds (
        namespace text not null,
        kind text not null,
        primary key (namespace, kind)
      )`,
      `create table removal_hooks (
        task_id uuid primary key,
        namespace text not null,
        kind text not null,
        params json not null,
        labels jsonb not null,
        removed_at timestamptz not null default now(),
        due_at timestamptz not null default now(),
        attempt int not null default 0,
        last_error text
      )`,
      `create index removal_hooks_due on removal_hooks (namespace, kind, due_at)`,
    ],
  },
];
