import type { Stage } from "../stages/stage.ts";

const STATEMENTS: readonly string[] = [
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

  // 'simple' works for every language. Only with the configuration's name is the expression immutable.
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

/**
 * Creates the tables of the kinds ingest and synth, which were once part of every server. The kinds are now a package
 * in examples/knowledge, whose first step takes the tables over.
 *
 * Every key begins with the namespace. Paths are compared byte by byte, so
 * the documents of a folder are a range of the primary key, in the same order on every server. The deletion of a
 * document deletes its chunks and its page.
 */
export const stages: readonly Stage[] = [{ type: "transaction", table: null, statements: STATEMENTS }];
