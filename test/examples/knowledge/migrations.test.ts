import assert from "node:assert/strict";
import { MIGRATIONS } from "../../../examples/knowledge/migrations.ts";
import { kindDatabase } from "../../../src/store/kind-database.ts";
import { migrateKinds } from "../../../src/store/kind-migrations.ts";
import { describeOnEachOwnStore } from "../../support/stores.ts";

const KINDS = { name: "knowledge", migrations: MIGRATIONS };
const TABLES = ["documents", "chunks", "pages"];

describeOnEachOwnStore("the tables of the example", (store) => {
  const query = (text: string) => kindDatabase(store().db).query(text);
  /** Columns, constraints and indexes, as Postgres writes them. */
  const definitions = async () => [
    ...(await query(
      `select table_name, column_name, data_type, collation_name, is_nullable, column_default, generation_expression
      from information_schema.columns where table_name in ('documents', 'chunks', 'pages')
      order by table_name, column_name`,
    )),
    ...(await query(
      `select conname::text, pg_get_constraintdef(oid) as constraint from pg_constraint
      where conrelid in ('documents'::regclass, 'chunks'::regclass, 'pages'::regclass) order by conname`,
    )),
    ...(await query(
      `select indexname::text, indexdef from pg_indexes where tablename in ('documents', 'chunks', 'pages')
      order by indexname`,
    )),
  ];

  it("keep the rows of tables that servers created when the kinds were built in", async () => {
    await query(`insert into documents values ('default', 'a.md', 'sha', 'Title', '{}', 1)`);
    await query(
      `insert into chunks (namespace, path, ordinal, heading, text) values ('default', 'a.md', 0, '', 'text')`,
    );
    await query(`insert into pages values ('default', 'a.md', 'page', 'extractive', 'sha')`);
    const builtIn = await definitions();
    assert.deepEqual(await migrateKinds(store().db, KINDS), ["knowledge/0001-documents"]);
    assert.deepEqual(await definitions(), builtIn);
    for (const table of TABLES) assert.equal((await query(`select path from ${table}`)).length, 1, table);

    // A database without these tables gets the same ones.
    await query("drop table documents, chunks, pages, kind_migrations");
    assert.deepEqual(await migrateKinds(store().db, KINDS), ["knowledge/0001-documents"]);
    assert.deepEqual(await definitions(), builtIn);
  });
});
