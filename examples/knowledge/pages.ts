import type { KindQueries } from "@spooltape/client";
import { IS_AT_OR_BELOW } from "./documents.ts";

/** A document that a page can be written of. */
export interface PageSource {
  path: string;
  /** Whether its page was made of the content that it has now. */
  done: boolean;
}

/** The documents at or below a path in the order of their paths, at most `limit`. */
export async function listPageSources(
  db: KindQueries,
  { namespace, path, limit }: { namespace: string; path: string; limit: number },
): Promise<PageSource[]> {
  return db.query<PageSource>(
    `select documents.path, pages.source_sha256 is not distinct from documents.sha256 as done
    from documents
    left join pages on pages.namespace = documents.namespace and pages.path = documents.path
    where documents.namespace = $1 and ${IS_AT_OR_BELOW}
    order by documents.path
    limit $3`,
    [namespace, path, limit],
  );
}

/** A document to write a page of, or undefined if there is none any more: title, digest and text of one version. */
export async function readPageSource(
  db: KindQueries,
  { namespace, path, codePointsMax }: { namespace: string; path: string; codePointsMax: number },
): Promise<{ title: string; sha256: string; text: string } | undefined> {
  // One statement, so one snapshot: an ingest that runs at the same time cannot change the text between two reads.
  const [source] = await db.query<{ title: string; sha256: string; text: string }>(
    `select title, sha256, coalesce((
      select left(string_agg(chunks.text, '' order by chunks.ordinal), $3::int)
      from chunks
      where chunks.namespace = documents.namespace and chunks.path = documents.path
    ), '') as text
    from documents
    where namespace = $1 and path = $2`,
    [namespace, path, codePointsMax],
  );
  return source;
}

/**
 * Writes the page of a document in the place of an earlier one.
 *
 * @returns false where the document has been removed: then there is no page
 */
export async function writePage(
  db: KindQueries,
  page: { namespace: string; path: string; text: string; model: string; sourceSha256: string },
): Promise<boolean> {
  const rows = await db.query(
    `insert into pages (namespace, path, text, model, source_sha256)
    select namespace, path, $3::text, $4::text, $5::text
    from documents
    where namespace = $1 and path = $2
    for key share
    on conflict (namespace, path) do update
    set text = excluded.text, model = excluded.model, source_sha256 = excluded.source_sha256, written_at = now()
    returning path`,
    [page.namespace, page.path, page.text, page.model, page.sourceSha256],
  );
  return rows.length > 0;
}
