import assert from "node:assert/strict";
import { kindDatabase } from "../../src/store/kind-database.ts";
import { describeOnEachStore } from "../support/stores.ts";

describeOnEachStore("the database of kinds", (store) => {
  const database = () => kindDatabase(store().db);
  before(() => database().query("create table notes (text text primary key)"));
  beforeEach(() => database().query("delete from notes"));

  const notes = async () =>
    (await database().query<{ text: string }>("select text from notes order by text")).map((row) => row.text);

  it("passes values and returns rows in the types of JavaScript", async () => {
    const rows = await database().query(
      `select $1::text as text, $2::int as int, $3::bigint as bigint, $4::json as json, $5::text[] as texts,
        timestamptz '2030-01-01T00:00:00Z' as time, null as none`,
      ["a\n'b", 7, 2n ** 53n, JSON.stringify({ a: [1] }), ["a,b", '"', ""]],
    );
    assert.deepEqual(rows, [
      {
        text: "a\n'b",
        int: 7,
        bigint: 2n ** 53n,
        json: { a: [1] },
        texts: ["a,b", '"', ""],
        time: new Date("2030-01-01T00:00:00Z"),
        none: null,
      },
    ]);
  });

  it("commits a transaction whose work resolves, and returns what the work returns", async () => {
    const result = await database().transaction(async (queries) => {
      await queries.query("insert into notes values ($1)", ["a"]);
      await queries.query("insert into notes values ($1)", ["b"]);
      return queries.query("select count(*)::int as count from notes");
    });
    assert.deepEqual(result, [{ count: 2 }]);
    assert.deepEqual(await notes(), ["a", "b"]);
  });

  it("rolls a transaction back whose work rejects", async () => {
    const reason = new Error("not today");
    const work = database().transaction(async (queries) => {
      await queries.query("insert into notes values ('a')");
      throw reason;
    });
    await assert.rejects(work, reason);
    assert.deepEqual(await notes(), []);
  });

  it("throws the driver's error, with its SQLSTATE", async () => {
    await database().query("insert into notes values ('a')");
    await assert.rejects(database().query("insert into notes values ('a')"), { code: "23505" });
    await assert.rejects(database().query("selec"), { code: "42601" });
  });
});
