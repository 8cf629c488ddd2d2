import assert from "node:assert/strict";
import * as v from "valibot";
import { defineKind, defineKinds } from "@spooltape/client";
import { startTestServer } from "@spooltape/client/testing";

const add = defineKind({
  name: "add",
  params: v.object({ a: v.number(), b: v.number() }),
  run: async ({ params: { a, b } }) => ({ sum: a + b }),
});

const counting = defineKinds({
  name: "counting",
  migrations: [
    { name: "0001-counts", up: async (db) => void (await db.query("create table counts (n int not null)")) },
  ],
  open: ({ database }) => ({
    kinds: [
      defineKind({
        name: "count",
        params: v.object({}),
        async run() {
          await database.query("insert into counts values (1)");
          const [row] = await database.query<{ n: number }>("select count(*)::int as n from counts");
          return { n: row!.n };
        },
      }),
    ],
  }),
});

describe("startTestServer", () => {
  it("runs kinds and packages of kinds on a real server with a database of its own", async () => {
    await using one = await startTestServer({ kinds: [add, counting] });
    await using two = await startTestServer({ kinds: [counting] });
    for (const { client } of [one, two]) {
      const { task } = await client.start({ kind: "count" });
      assert.deepEqual((await client.result({ taskId: task.taskId, waitMs: 10_000 })).result, { n: 1 });
    }
    const { events } = await one.client.run({ kind: "add", params: { a: 1, b: 2 } });
    const tape = await Array.fromAsync(events);
    assert.deepEqual(
      tape.map(({ type }) => type),
      ["started", "final"],
    );
    assert.equal((await fetch(new URL("/readyz", one.url))).status, 200);
  });

  it("ends its tasks and frees its ports when it stops", async () => {
    const server = await startTestServer();
    const { events } = await server.client.run({ kind: "echo", params: { count: 100, delay_ms: 10_000 } });
    for await (const { type } of events) if (type === "started") break;
    await server.stop();
    await assert.rejects(fetch(server.url));
    await server.stop();
  });

  it("refuses two kinds of one name", async () => {
    await assert.rejects(startTestServer({ kinds: [add, add] }), /duplicate kind add/);
  });
});
