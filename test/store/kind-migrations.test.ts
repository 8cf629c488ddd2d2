import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { KindMigration } from "../../src/domain/kind-database.ts";
import { KindsNotMigrated, KindsTooOld, migrateKinds, requireKindMigrations } from "../../src/store/kind-migrations.ts";
import { describeOnEachStore } from "../support/stores.ts";

describeOnEachStore("the migrations of kinds", (store) => {
  const db = () => store().db;
  let name: string;
  let ran: string[];
  beforeEach(() => {
    name = randomUUID();
    ran = [];
  });

  const step = (title: string, failure?: Error): KindMigration => ({
    name: title,
    async up(queries) {
      ran.push(title);
      await queries.query(`create table "${name} ${title}" (count int)`);
      if (failure !== undefined) throw failure;
    },
  });
  const steps = (...titles: string[]) => ({ name, migrations: titles.map((title) => step(title)) });
  const tables = async () => {
    const found = await db().introspection.getTables();
    return found.map((table) => table.name).filter((table) => table.startsWith(name));
  };

  it("are applied in the order of the list, once", async () => {
    assert.deepEqual(await migrateKinds(db(), steps("b", "a")), [`${name}/b`, `${name}/a`]);
    assert.deepEqual(await migrateKinds(db(), steps("b", "a")), []);
    assert.deepEqual(await migrateKinds(db(), steps("b", "a", "c")), [`${name}/c`]);
    assert.deepEqual(ran, ["b", "a", "c"]);
    await requireKindMigrations(db(), steps("b", "a", "c"));
  });

  it("are applied once by several servers that start together", async () => {
    const applied = await Promise.all([1, 2, 3, 4].map(() => migrateKinds(db(), steps("a", "b"))));
    assert.equal(applied.filter(({ length }) => length > 0).length, 1);
    assert.deepEqual(ran, ["a", "b"]);
  });

  it("of one package are independent of other packages", async () => {
    await migrateKinds(db(), steps("a"));
    const other = { name: `${name}-other`, migrations: [step("b")] };
    assert.deepEqual(await migrateKinds(db(), other), [`${name}-other/b`]);
    assert.deepEqual(await migrateKinds(db(), steps("a")), []);
  });

  it("leave nothing behind if a step fails, and are applied by the next call", async () => {
    const failure = new Error("not today");
    await assert.rejects(migrateKinds(db(), { name, migrations: [step("a"), step("b", failure)] }), failure);
    assert.deepEqual(await tables(), []);
    assert.deepEqual(await migrateKinds(db(), steps("a", "b")), [`${name}/a`, `${name}/b`]);
    assert.equal((await tables()).length, 2);
  });

  it("must be in the database if a server may not apply them", async () => {
    await assert.rejects(requireKindMigrations(db(), steps("a")), KindsNotMigrated);
    await migrateKinds(db(), steps("a"));
    await assert.rejects(requireKindMigrations(db(), steps("a", "b")), {
      message: `the database lacks step "b" of the kinds "${name}": run spool migrate --kinds FILE`,
    });
    assert.deepEqual(ran, ["a"]);
  });

  it("refuse a database that a newer version of the package has migrated", async () => {
    await migrateKinds(db(), steps("a", "b"));
    await assert.rejects(migrateKinds(db(), steps("a")), KindsTooOld);
    await assert.rejects(requireKindMigrations(db(), steps("a")), KindsTooOld);
  });
});
