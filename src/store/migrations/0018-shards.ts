import type { Stage } from "../stages/stage.ts";

/**
 * Adds the shards of a service, the shard that each namespace lives on, and the moves of namespaces. Only the first shard
 * uses these tables, except for `moved_namespaces`, which every shard uses. A session says whether its server serves
 * namespaces from their shards. A server of an earlier version serves them all from the first one.
 */
export const stages: readonly Stage[] = [
  {
    type: "transaction",
    table: "namespaces",
    statements: [
      `create table if not exists shards (
        name text primary key check (name <> 'home'),
        url text not null,
        standby_url text,
        state text not null default 'open' check (state in ('open', 'closed')),
        added_at timestamptz not null default now()
      )`,
      `create table if not exists namespace_moves (
        namespace text primary key,
        from_shard text not null,
        to_shard text not null,
        phase text not null check (phase in ('copying', 'closed', 'moved')),
        started_at timestamptz not null default now()
      )`,
      `create table if not exists moved_namespaces (
        namespace text primary key,
        has_rows boolean not null
      )`,
      `alter table namespaces
        add column if not exists shard text not null default 'home',
        add column if not exists is_moving boolean not null default false,
        add column if not exists generation int not null default 0,
        add column if not exists previous_shard text,
        add column if not exists opening text`,
    ],
  },
  {
    type: "transaction",
    table: "sessions",
    statements: [`alter table sessions add column if not exists knows_shards boolean not null default false`],
  },
];
