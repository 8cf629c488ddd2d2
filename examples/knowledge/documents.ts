import { setImmediate } from "node:timers/promises";
import type { JsonObject, KindDatabase, KindQueries } from "@spooltape/client";

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

/**
 * That a row is of a document at the path $2 or, if that is a folder, below it: a range of the primary key. `.` is every
 * path; "0" is the character after "/".
 */
export const IS_AT_OR_BELOW = `($2::text = '.' or documents.path = $2::text
  or (documents.path >= $2::text || '/' and documents.path < $2::text || '0'))`;

/** The SHA-256 of each document at or below a path, by its path. */
export async function readDigests(
  db: KindQueries,
  { namespace, path }: { namespace: string; path: string },
): Promise<Map<string, string>> {
  const rows = await db.query<{ path: string; sha256: string }>(
    `select path, sha256 from documents where namespace = $1 and ${IS_AT_OR_BELOW}`,
    [namespace, path],
  );
  return new Map(rows.map((row) => [row.path, row.sha256]));
}

/** Writes a document with all its chunks in the place of what was at its path, in one commit. A page of it stays. */
export async function replaceDocument(
  db: KindDatabase,
  { namespace, document }: { namespace: string; document: NewDocument },
): Promise<void> {
  await db.transaction(async (queries) => {
    // The row comes first: its lock makes other writers of the same document wait until row and chunks are committed.
    await writeDocument(queries, { namespace, document });
    await queries.query("delete from chunks where namespace = $1 and path = $2", [namespace, document.path]);
    await insertChunks(queries, { namespace, document });
  });
}

/** Removes documents with their chunks and pages, and returns how many there were. */
export async function removeDocuments(
  db: KindQueries,
  { namespace, paths }: { namespace: string; paths: readonly string[] },
): Promise<number> {
  let removed = 0;
  for (let start = 0; start < paths.length; start += REMOVED_ROWS_MAX) {
    // Locked in one order, so that two removals that meet wait for each other and do not deadlock.
    const rows = await db.query(
      `with gone as materialized (
        select path from documents
        where namespace = $1 and path = any($2::text[])
        order by path
        for update
      )
      delete from documents using gone
      where documents.namespace = $1 and documents.path = gone.path
      returning documents.path`,
      [namespace, paths.slice(start, start + REMOVED_ROWS_MAX)],
    );
    removed += rows.length;
  }
  return removed;
}

async function writeDocument(
  queries: KindQueries,
  { namespace, document }: { namespace: string; document: NewDocument },
): Promise<void> {
  const { path, sha256, title, frontMatter, bytes } = document;
  await queries.query(
    `insert into documents (namespace, path, sha256, title, front_matter, bytes)
    values ($1, $2, $3, $4, $5, $6)
    on conflict (namespace, path) do update
    set sha256 = excluded.sha256, title = excluded.title, front_matter = excluded.front_matter,
      bytes = excluded.bytes, updated_at = now()`,
    [namespace, path, sha256, title, JSON.stringify(frontMatter), bytes],
  );
}

async function insertChunks(
  queries: KindQueries,
  { namespace, document: { path, chunks } }: { namespace: string; document: NewDocument },
): Promise<void> {
  for (let start = 0; start < chunks.length; start += CHUNK_ROWS_MAX) {
    const batch = chunks.slice(start, start + CHUNK_ROWS_MAX);
    await queries.query(
      `insert into chunks (namespace, path, ordinal, heading, text)
      select $1, $2, $3::int + place - 1, heading, text
      from unnest($4::text[], $5::text[]) with ordinality as batch (heading, text, place)`,
      [namespace, path, start, batch.map(({ heading }) => heading), batch.map(({ text }) => text)],
    );
    await setImmediate(); // The embedded Postgres answers without one.
  }
}
