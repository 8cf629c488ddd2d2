import { sql } from "kysely";
import type { RawBuilder } from "kysely";

/**
 * Returns the condition that a task is of one of some kinds.
 *
 * @param kinds names of kinds, and prefixes with `*` after them; empty: all kinds
 * @param column the column of the kind
 */
export function isOfKinds(
  kinds: readonly string[],
  column: RawBuilder<unknown> = sql.ref("kind"),
): RawBuilder<boolean> {
  const prefixes = kinds.filter((kind) => kind.endsWith("*")).map((kind) => kind.slice(0, -1));
  return sql<boolean>`(cardinality(${sql.val(kinds)}::text[]) = 0 or ${column} = any(${sql.val(kinds)}::text[])
    or exists (select from unnest(${sql.val(prefixes)}::text[]) as k (prefix) where starts_with(${column}, k.prefix)))`;
}
