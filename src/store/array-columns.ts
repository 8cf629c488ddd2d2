import { sql } from "kysely";
import type { RawBuilder } from "kysely";

/** A column of items that a statement is given as arrays. */
export interface ArrayColumn<Item> {
  name: string;
  /** The type of an element in Postgres. */
  type: string;
  /** The element of an item, as the driver takes it. */
  value(item: Item): unknown;
}

/** Items as a table of a statement: one array for each column, in one order. */
export interface ArrayTable<Item> {
  /** `unnest(…)` of the items. */
  unnest(items: readonly Item[]): RawBuilder<unknown>;
  /** The names of the columns, with commas between them. */
  readonly names: RawBuilder<unknown>;
}

/** The text of the statement is made here, once: each use adds only the arrays. */
export function arrayTable<Item>(columns: readonly ArrayColumn<Item>[]): ArrayTable<Item> {
  const separators = columns.slice(0, -1).map(({ type }) => `::${type}[], `);
  const fragments = ["unnest(", ...separators, `::${columns.at(-1)!.type}[])`];
  const template = Object.assign(fragments, { raw: fragments });
  return {
    unnest: (items) => sql(template, ...columns.map(({ value }) => items.map((item) => value(item)))),
    names: namesOf(columns.map(({ name }) => name)),
  };
}

/** Names of columns with commas between them. @param alias of their table */
export function namesOf(names: readonly string[], alias = ""): RawBuilder<unknown> {
  return sql.raw(names.map((name) => (alias === "" ? name : `${alias}.${name}`)).join(", "));
}
