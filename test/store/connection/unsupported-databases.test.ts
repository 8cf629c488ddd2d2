import assert from "node:assert/strict";
import { sql } from "kysely";
import { DatabaseMisconfigured } from "../../../src/store/connection/session-check.ts";
import { openDatabase } from "../../../src/store/database.ts";
import type { Store } from "../../../src/store/database.ts";
import { readServerSettings } from "../../../src/store/reports/server-health.ts";
import { administer } from "../../support/administer.ts";
import { createDatabase } from "../../support/postgres.ts";
import type { TestDatabase } from "../../support/postgres.ts";
import { isUnavailableFor } from "../../support/unavailable.ts";

const look = ({ db }: Pick<Store, "db">) => sql`select 1`.execute(db);

describe("a connection to an unsupported database", () => {
  let database: TestDatabase;
  let store: Store;
  beforeEach(async () => {
    database = await createDatabase();
    store = await openDatabase({ url: database.url });
  });
  afterEach(async () => {
    await store.close();
    await database[Symbol.asyncDispose]();
  });

  for (const [what, version, refusal, expected] of [
    [
      "a product that only looks like Postgres is refused by its name",
      "PostgreSQL 15.2-YB-2.25.0.0",
      "",
      /^the database is YugabyteDB: Spool needs Postgres 15/,
    ],
    [
      "a product without a setting of Postgres, too",
      "CockroachDB CCL v25.1.0",
      "42704",
      /^the database is CockroachDB: /,
    ],
    [
      "an unknown product without a part of Postgres says what it refused",
      "Elephant 1",
      "0A000",
      /^the database refuses what Spool needs \(no such setting; Elephant 1\): /,
    ],
  ] as const) {
    it(what, async () => {
      const dressed = ["create schema dressed", `create function dressed.version() returns text return '${version}'`];
      if (refusal !== "")
        dressed.push(`create function dressed.set_config(text, text, boolean) returns text language plpgsql as $$
          begin raise exception 'no such setting' using errcode = '${refusal}'; end $$`);
      await administer(database, ...dressed);
      const name = new URL(database.url).pathname.slice(1);
      await administer(database, `alter database ${name} set search_path = dressed, pg_catalog`);
      await assert.rejects(look(store), isUnavailableFor(DatabaseMisconfigured, expected));
    });
  }

  for (const [method, how] of [
    ["h", "by rows"],
    ["n", "with its schema"],
  ] as const) {
    it(`with tables that Citus distributes ${how} is refused, and the doctor says so`, async () => {
      // Without the extension, which is not built for every version: its catalogue of tables, and a table in it.
      const distributed = [
        "set allow_system_table_mods = on",
        "create table pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod char)",
        "grant select on pg_catalog.pg_dist_partition to public",
      ];
      await administer(database, ...distributed, "create table other ()");
      await administer(database, "insert into pg_dist_partition values ('other', 'h')");
      await look(store);
      await administer(
        database,
        "create table tasks ()",
        `insert into pg_dist_partition values ('tasks', '${method}')`,
      );
      const later = await openDatabase({ url: database.url });
      const expected = new RegExp(`^Citus distributes the table tasks ${how}, and refuses statements of Spool: `);
      await assert.rejects(look(later), isUnavailableFor(DatabaseMisconfigured, expected));
      await later.close();
      const inspected = await openDatabase({ url: database.url, mayBeUnusable: true });
      assert.match((await readServerSettings(inspected.db)).distributionProblem!, expected);
      await inspected.close();
    });
  }
});
