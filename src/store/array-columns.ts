import { sql } from "kysely";
import type { RawBuilder } from "kysely";

/** One column of items that are passed to a statement as arrays. */
export interface ArrayColumn<Item> {
  name: string;
  /** The type of an element in Postgres. */
  type: string;
  /** Returns the value of an item for the driver. */
  value(item: Item): unknown;
}

/** Passes items to a statement as a table: one array for each column, all in the same order. */
export interface ArrayTable<Item> {
  /** Returns `unnest(…)` of the items. */
  unnest(items: readonly Item[]): RawBuilder<unknown>;
  /** The names of the columns, with commas between them. */
  readonly names: RawBuilder<unknown>;
}

/** Returns the table of some columns. The SQL text is built once, and each use only adds the arrays. */
export function arrayTable<Item>(columns: readonly ArrayColumn<Item>[]): ArrayTable<Item> {
  const separators = columns.slice(0, -1).map(({ type }) => `::${type}[], `);
  const fragments = ["unnest(", ...separators, `::${columns.at(-1)!.type}[])`];
  const template = Object.assign(fragments, { raw: fragments });
  return {
    unnest: (items) => sql(template, ...columns.map(({ value }) => items.map((item) => value(item)))),
    names: namesOf(columns.map(({ name }) => name)),
  };
}

/** Returns the names of columns with commas between them. @param alias the alias of their table */
export function namesOf(names: readonly string[], alias = ""): RawBuilder<unknown> {
  return sql.raw(names.map((name) => (alias === "" ? name : `${alias}.${name}`)).join(", "));
}
