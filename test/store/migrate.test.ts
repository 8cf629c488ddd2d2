import assert from "node:assert/strict";
import { sql } from "kysely";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { migrate, MIGRATIONS, requireCurrentSchema, SCHEMA_VERSION } from "../../src/store/migrate.ts";
import { applySteps, DatabaseDiverged, DatabaseTooNew, DatabaseTooOld } from "../../src/store/schema-steps.ts";
import type { SchemaSteps } from "../../src/store/schema-steps.ts";
import { EMPTY_DATABASES, readStructure } from "../support/empty-databases.ts";

for (const [name, prepare] of Object.entries(EMPTY_DATABASES)) {
  describe(`the schema, on ${name}`, () => {
    let database: Awaited<ReturnType<typeof prepare>>;
    let store: Store;
    beforeEach(async () => {
      database = await prepare();
      store = await database.open();
    });
    afterEach(async () => {
      await store?.close();
      await database?.[Symbol.asyncDispose]();
    });

    /** The steps of the next program: one more, which creates a table. */
    const next = (runsFrom?: string): SchemaSteps => ({
      ...MIGRATIONS,
      "9998-next": {
        stages: [{ type: "transaction", table: null, statements: ["create table next_release (id int)"] }],
        ...(runsFrom !== undefined && { runsFrom }),
      },
    });

    const readCompatibility = async () => {
      const { rows } = await sql<{ step: string; runs_from: string }>`
        select step, runs_from from spool_schema_compatibility order by step collate "C"`.execute(store.db);
      return rows.map((row) => [row.step, row.runs_from]);
    };

    const pretend = (step: string) =>
      sql`insert into spool_migrations (name, timestamp) values (${step}, '2031-01-01T00:00:00Z')`.execute(store.db);

    it("is created in an empty database, and then left unchanged", async () => {
      const steps = await migrate(store.db);
      assert.equal(steps.at(-1), SCHEMA_VERSION);
      assert.deepEqual(await migrate(store.db), []);
      await requireCurrentSchema(store.db);
    });

    it("is created once by several concurrent migrations", async () => {
      const stores = await Promise.all([1, 2, 3, 4].map(() => database.open()));
      try {
        const applied = await Promise.all(stores.map(({ db }) => migrate(db)));
        assert.equal(applied.filter((steps) => steps.length > 0).length, 1);
        await requireCurrentSchema(store.db);
      } finally {
        await Promise.all(stores.map((other) => other.close()));
      }
    });

    it("of a newer program is refused, with both versions", async () => {
      await migrate(store.db);
      await pretend("9999-future");
      for (const check of [migrate, requireCurrentSchema]) {
        await assert.rejects(check(store.db), (error: Error) => {
          assert.ok(error instanceof DatabaseTooNew);
          assert.ok(error.message.includes("9999-future") && error.message.includes(SCHEMA_VERSION), error.message);
          return true;
        });
      }
    });

    it("is stored with the oldest program that may run on each step", async () => {
      await applySteps(store.db, next(SCHEMA_VERSION));
      const steps: SchemaSteps = MIGRATIONS;
      const own = Object.entries(steps).map(([step, { runsFrom = step }]) => [step, runsFrom]);
      assert.deepEqual(await readCompatibility(), [...own, ["9998-next", SCHEMA_VERSION]]);
    });

    it("of a newer program is accepted if its step allows older programs, and left unchanged", async () => {
      await migrate(store.db);
      assert.deepEqual(await applySteps(store.db, next("0008-claims")), ["9998-next"]);
      assert.deepEqual(await migrate(store.db), []);
      const { newest, isNewer } = await requireCurrentSchema(store.db);
      assert.deepEqual({ newest, isNewer }, { newest: "9998-next", isNewer: true });
    });

    it("of a newer program is refused if one of its steps allows no older program", async () => {
      const steps: SchemaSteps = { ...next(), "9999-after": { stages: [], runsFrom: SCHEMA_VERSION } };
      await applySteps(store.db, steps);
      for (const check of [migrate, requireCurrentSchema]) {
        await assert.rejects(check(store.db), (error: Error) => {
          assert.ok(error instanceof DatabaseTooNew);
          assert.match(error.message, /at schema 9998-next, newer .* programs from 9998-next on: run a newer Spool$/);
          return true;
        });
      }
    });

    it("of a program without stored compatibility is refused to older programs, and accepted by its own", async () => {
      await migrate(store.db);
      await sql`drop table spool_schema_compatibility`.execute(store.db);
      assert.deepEqual(await migrate(store.db), []);
      await requireCurrentSchema(store.db);
      await pretend("9999-future");
      await assert.rejects(requireCurrentSchema(store.db), DatabaseTooNew);
      await sql`delete from spool_migrations where name = '9999-future'`.execute(store.db);
      await applySteps(store.db, next("0008-claims"));
      assert.equal((await requireCurrentSchema(store.db)).newest, "9998-next");
    });

    it("is never changed by a program that lacks a step of the database", async () => {
      const { [SCHEMA_VERSION as keyof typeof MIGRATIONS]: _, ...fewer } = next("0001-tasks");
      await applySteps(store.db, fewer);
      for (const check of [migrate, requireCurrentSchema]) {
        await assert.rejects(check(store.db), (error: Error) => {
          assert.ok(error instanceof DatabaseDiverged);
          assert.ok(error.message.includes("9998-next") && error.message.includes(SCHEMA_VERSION), error.message);
          return true;
        });
      }
    });

    it("is created by programs of two versions that migrate at once", async () => {
      const stores = await Promise.all([1, 2, 3, 4].map(() => database.open()));
      try {
        const programs = [MIGRATIONS, next(SCHEMA_VERSION), MIGRATIONS, next(SCHEMA_VERSION)];
        const applied = await Promise.all(stores.map(({ db }, index) => applySteps(db, programs[index]!)));
        assert.deepEqual(applied.flat().toSorted(), Object.keys(next()));
        assert.equal((await requireCurrentSchema(store.db)).newest, "9998-next");
      } finally {
        await Promise.all(stores.map((other) => other.close()));
      }
    });

    it("that lacks steps is refused if it may not be changed", async () => {
      await assert.rejects(requireCurrentSchema(store.db), DatabaseTooOld);
      const [first] = await migrate(store.db);
      await sql`delete from spool_migrations where name <> ${first}`.execute(store.db);
      await assert.rejects(requireCurrentSchema(store.db), (error: Error) =>
        error.message.includes(`schema ${first!},`),
      );
    });

    it("is unchanged after a failed step", async () => {
      await sql`create table sessions (in_the_way int)`.execute(store.db);
      await assert.rejects(migrate(store.db), { code: "42P07" });
      await assert.rejects(requireCurrentSchema(store.db), DatabaseTooOld);
      const { rows } = await sql`select 1 from information_schema.tables where table_name = 'tasks'`.execute(store.db);
      assert.deepEqual(rows, []);
      await sql`drop table sessions`.execute(store.db);
      await migrate(store.db);
    });
  });
}

describe("the steps of the schema", () => {
  it("ascend, and allow programs from the same or an earlier step on", () => {
    const steps: SchemaSteps = MIGRATIONS;
    const names = Object.keys(steps);
    assert.deepEqual(names, names.toSorted());
    for (const [name, { runsFrom = name }] of Object.entries(steps)) {
      assert.ok(names.includes(runsFrom) && runsFrom <= name, `${name} runs from ${runsFrom}`);
    }
  });
});

describe("a new embedded database", () => {
  it("has the schema that the steps make", async () => {
    await using built = await EMPTY_DATABASES.PGlite();
    const { db } = await built.open();
    const fresh = await openDatabase({ dataDir: null });
    try {
      await requireCurrentSchema(fresh.db); // From the archive, without a step.
      await migrate(db);
      assert.deepEqual(await readStructure(fresh.db), await readStructure(db));
    } finally {
      await fresh.close();
    }
  });
});
