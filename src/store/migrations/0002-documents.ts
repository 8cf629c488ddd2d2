import { sql } from "kysely";
import type { Kysely } from "kysely";

/**
 * Tables of the kinds ingest and synth, which every server had once. They belong to the package of kinds in
 * examples/knowledge since, whose first step takes them over. Every key begins with the namespace, which a distributed
 * engine would shard by. A path is compared byte by byte, so that the documents of a folder are a range of the primary
 * key, and their order is the same on every server. What belongs to a document goes with it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table documents (
    namespace text not null,
    path text collate "C" not null,
    sha256 text not null,
    title text not null,
    front_matter json not null,
    bytes int not null,
    updated_at timestamptz not null default now(),
    primary key (namespace, path)
  )`,

  // 'simple' knows no language, so it serves all; and a configuration by name is what makes the expression immutable.
  `create table chunks (
    namespace text not null,
    path text collate "C" not null,
    ordinal int not null,
    heading text not null,
    text text not null,
    search tsvector not null generated always as (
      setweight(to_tsvector('simple'::regconfig, heading), 'A') || to_tsvector('simple'::regconfig, text)
    ) stored,
    primary key (namespace, path, ordinal),
    foreign key (namespace, path) references documents on delete cascade
  )`,
  `create index chunks_search on chunks using gin (search)`,

  `create table pages (
    namespace text not null,
    path text collate "C" not null,
    text text not null,
    model text not null,
    source_sha256 text not null,
    written_at timestamptz not null default now(),
    primary key (namespace, path),
    foreign key (namespace, path) references documents on delete cascade
  )`,
];
