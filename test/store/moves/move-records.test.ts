import assert from "node:assert/strict";
import { sql } from "kysely";
import { beginMove, closeForMove, moveLock, readAbandonedMoves } from "../../../src/store/moves/move-records.ts";
import { openPostgres } from "../../support/open-stores.ts";

describe("a move of a namespace", () => {
  it("is abandoned while no process holds its lock, until it is finished", async () => {
    await using store = await openPostgres();
    const { db } = store;
    const found = async () => (await readAbandonedMoves(db)).map(({ namespace, phase }) => [namespace, phase]);
    await db.transaction().execute((trx) => beginMove(trx, { namespace: "one", from: "home", to: "b" }));
    await db.transaction().execute((trx) => beginMove(trx, { namespace: "two", from: "home", to: "b" }));
    await db.transaction().execute((trx) => closeForMove(trx, "two"));
    assert.deepEqual(await found(), [
      ["one", "copying"],
      ["two", "closed"],
    ]);
    await db.connection().execute(async (connection) => {
      await sql`select pg_advisory_lock(${moveLock("two")})`.execute(connection);
      assert.deepEqual(await found(), [["one", "copying"]]);
      await sql`select pg_advisory_unlock(${moveLock("two")})`.execute(connection);
    });
    await db.updateTable("namespace_moves").set({ phase: "moved" }).where("namespace", "=", "one").execute();
    const [left, ...more] = await readAbandonedMoves(db);
    assert.deepEqual([left!.namespace, left!.from, left!.to, more.length], ["two", "home", "b", 0]);
    assert.ok(left!.sinceMs >= 0 && left!.sinceMs < 60_000);
  });
});
