import type { KindMigration } from "@spooltape/client";

/** The steps of the tables, in order. A step that was released never changes: a change of the tables is a new step. */
export const MIGRATIONS: readonly KindMigration[] = [
  {
    // Servers had these kinds built in once, and made the same tables: the step takes them over with all their rows.
    name: "0001-documents",
    async up(queries) {
      for (const statement of DOCUMENTS) await queries.query(statement);
    },
  },
];

/**
 * What ingest reads and synth writes. Every key begins with the namespace. A path is compared byte by byte, so that the
 * documents of a folder are a range of the primary key, and their order is the same on every server. Chunks and page of
 * a document are removed with it.
 */
const DOCUMENTS = [
  `create table if not exists documents (
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
  `create table if not exists chunks (
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
  `create index if not exists chunks_search on chunks using gin (search)`,

  `create table if not exists pages (
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
