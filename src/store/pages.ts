import { sql } from "kysely";
import type { Kysely } from "kysely";
import { isAtOrBelow } from "./documents.ts";
import type { DocumentTables } from "./documents.ts";

/** A document that a page can be written of. */
export interface PageSource {
  path: string;
  /** Whether its page was made of the content that it has now. */
  done: boolean;
}

/** The documents at or below a path in the order of their paths, at most `limit`. */
export async function listPageSources(
  db: Kysely<DocumentTables>,
  { namespace, path, limit }: { namespace: string; path: string; limit: number },
): Promise<PageSource[]> {
  return db
    .selectFrom("documents")
    .leftJoin("pages", (join) =>
      join.onRef("pages.namespace", "=", "documents.namespace").onRef("pages.path", "=", "documents.path"),
    )
    .select(["documents.path", sql<boolean>`pages.source_sha256 is not distinct from documents.sha256`.as("done")])
    .where("documents.namespace", "=", namespace)
    .where((eb) => isAtOrBelow(eb.ref("documents.path"), path))
    .orderBy("documents.path")
    .limit(limit)
    .execute();
}

/** A document to write a page of, or undefined if there is none any more: title, digest and text of one version. */
export async function readPageSource(
  db: Kysely<DocumentTables>,
  { namespace, path, codePointsMax }: { namespace: string; path: string; codePointsMax: number },
): Promise<{ title: string; sha256: string; text: string } | undefined> {
  // One statement, so one snapshot: an ingest that runs at the same time cannot change the text between two reads.
  return db
    .selectFrom("documents")
    .select(["title", "sha256"])
    .select(
      sql<string>`coalesce((
        select left(string_agg(chunks.text, '' order by chunks.ordinal), ${codePointsMax}::int)
        from chunks
        where chunks.namespace = documents.namespace and chunks.path = documents.path
      ), '')`.as("text"),
    )
    .where("namespace", "=", namespace)
    .where("path", "=", path)
    .executeTakeFirst();
}

/**
 * Writes the page of a document in the place of an earlier one.
 *
 * @returns false where the document has been removed: then there is no page
 */
export async function writePage(
  db: Kysely<DocumentTables>,
  page: { namespace: string; path: string; text: string; model: string; sourceSha256: string },
): Promise<boolean> {
  const { rows } = await sql`
    insert into pages (namespace, path, text, model, source_sha256)
    select namespace, path, ${page.text}::text, ${page.model}::text, ${page.sourceSha256}::text
    from documents
    where namespace = ${page.namespace} and path = ${page.path}
    for key share
    on conflict (namespace, path) do update
    set text = excluded.text, model = excluded.model, source_sha256 = excluded.source_sha256, written_at = now()
    returning path`.execute(db);
  return rows.length > 0;
}
