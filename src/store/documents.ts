import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import type { ColumnType, Expression, Generated, Kysely, SqlBool, Transaction } from "kysely";
import type { JsonObject } from "../domain/json.ts";

/** A source file as it was last ingested; its text is the text of its chunks, in their order. */
export interface DocumentTable {
  namespace: string;
  /** Below the sources folder, with `/`. */
  path: string;
  /** Of the file's bytes, in hex. */
  sha256: string;
  title: string;
  front_matter: ColumnType<JsonObject, string, string>;
  /** The file's size. */
  bytes: number;
  updated_at: Generated<Date>;
}

export interface ChunkTable {
  namespace: string;
  path: string;
  /** From 0. */
  ordinal: number;
  /** The heading that the chunk is under; empty where there is none. */
  heading: string;
  text: string;
  /** Of heading and text, in the configuration `simple`. Not for Kysely: `where search @@ …`. */
  search: ColumnType<string, never, never>;
}

/** What synth made of a document. */
export interface PageTable {
  namespace: string;
  path: string;
  /** Markdown. */
  text: string;
  /** Who wrote it: a model's name, or `extractive`. */
  model: string;
  /** Of the document that it was made from. */
  source_sha256: string;
  written_at: Generated<Date>;
}

export interface DocumentTables {
  documents: DocumentTable;
  chunks: ChunkTable;
  pages: PageTable;
}

/** A document, parsed. No text of it holds NUL, which Postgres does not store. */
export interface NewDocument {
  path: string;
  sha256: string;
  bytes: number;
  title: string;
  frontMatter: JsonObject;
  chunks: readonly { heading: string; text: string }[];
}

/** So many rows a statement: the embedded Postgres indexes their text on the event loop, which turns in between. */
const CHUNK_ROWS_MAX = 50;
const REMOVED_ROWS_MAX = 1_000;

/** Every path. */
const ALL = ".";

/** That a row is of a document at a path or, if that is a folder, below it: a range of the primary key. */
export function isAtOrBelow(column: Expression<string>, path: string): Expression<SqlBool> {
  if (path === ALL) return sql<SqlBool>`true`;
  // "0" is the character after "/".
  return sql<SqlBool>`(${column} = ${path} or (${column} >= ${`${path}/`} and ${column} < ${`${path}0`}))`;
}

/** The SHA-256 of each document at or below a path, by its path. */
export async function readDigests(
  db: Kysely<DocumentTables>,
  { namespace, path }: { namespace: string; path: string },
): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom("documents")
    .select(["path", "sha256"])
    .where("namespace", "=", namespace)
    .where((eb) => isAtOrBelow(eb.ref("path"), path))
    .execute();
  return new Map(rows.map((row) => [row.path, row.sha256]));
}

/** Writes a document with all its chunks in the place of what was at its path, in one commit. A page of it stays. */
export async function replaceDocument(
  db: Kysely<DocumentTables>,
  { namespace, document }: { namespace: string; document: NewDocument },
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    // The row comes first: it locks out whoever writes the same document, until both row and chunks are there.
    await writeDocument(trx, { namespace, document });
    await trx.deleteFrom("chunks").where("namespace", "=", namespace).where("path", "=", document.path).execute();
    await insertChunks(trx, { namespace, document });
  });
}

/** Removes documents with their chunks and pages, and says how many there were. */
export async function removeDocuments(
  db: Kysely<DocumentTables>,
  { namespace, paths }: { namespace: string; paths: readonly string[] },
): Promise<number> {
  let removed = 0;
  for (let start = 0; start < paths.length; start += REMOVED_ROWS_MAX) {
    const batch = paths.slice(start, start + REMOVED_ROWS_MAX);
    // Locked in one order, so that two removals that meet wait for each other and do not deadlock.
    const { rows } = await sql`
      with gone as materialized (
        select path from documents
        where namespace = ${namespace} and path = any(${sql.val(batch)}::text[])
        order by path
        for update
      )
      delete from documents using gone
      where documents.namespace = ${namespace} and documents.path = gone.path
      returning documents.path`.execute(db);
    removed += rows.length;
  }
  return removed;
}

async function writeDocument(
  trx: Transaction<DocumentTables>,
  { namespace, document }: { namespace: string; document: NewDocument },
): Promise<void> {
  const content = {
    sha256: document.sha256,
    title: document.title,
    front_matter: JSON.stringify(document.frontMatter),
    bytes: document.bytes,
  };
  await trx
    .insertInto("documents")
    .values({ namespace, path: document.path, ...content })
    .onConflict((conflict) =>
      conflict.columns(["namespace", "path"]).doUpdateSet({ ...content, updated_at: sql`now()` }),
    )
    .execute();
}

async function insertChunks(
  trx: Transaction<DocumentTables>,
  { namespace, document: { path, chunks } }: { namespace: string; document: NewDocument },
): Promise<void> {
  const rows = chunks.map(({ heading, text }, ordinal) => ({ namespace, path, ordinal, heading, text }));
  for (let start = 0; start < rows.length; start += CHUNK_ROWS_MAX) {
    await trx
      .insertInto("chunks")
      .values(rows.slice(start, start + CHUNK_ROWS_MAX))
      .execute();
    await setImmediate(); // The embedded Postgres answers without one.
  }
}
