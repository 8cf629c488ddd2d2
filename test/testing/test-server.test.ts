import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
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

  it("refuses two kinds or packages of one name, and values that are no kinds", async () => {
    await assert.rejects(startTestServer({ kinds: [add, add] }), /duplicate kind add/);
    await assert.rejects(startTestServer({ kinds: [counting, counting] }), /the package counting is there twice/);
    const stray = { name: "stray" } as unknown as typeof add;
    await assert.rejects(startTestServer({ kinds: [add, stray] }), /kinds\[1\]: must be made by defineKind/);
  });

  it("ends its process, after failed starts too, and ignores invalid settings of the environment", async () => {
    const code = `
      import { defineKinds } from "@spooltape/client";
      import { startTestServer } from "@spooltape/client/testing";
      const up = (db) => db.query("create tabel wrong (n int)");
      const broken = defineKinds({ name: "broken", migrations: [{ name: "0001", up }], open: () => ({ kinds: [] }) });
      const refused = await startTestServer({ kinds: [broken] }).catch(({ message }) => message);
      const server = await startTestServer();
      const { task } = await server.client.start({ kind: "echo", params: { count: 9, delay_ms: 10_000 } });
      await Promise.all([server.stop(), server.stop()]);
      console.log(refused, task.kind);
    `;
    const wrong = { SPOOL_PORT: "x", SPOOL_TOKEN: "two words", SPOOL_DATABASE_URL: "nonsense", SPOOL_ADDRESS: ":::" };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], {
      cwd: join(import.meta.dirname, "..", ".."),
      env: { ...process.env, ...wrong },
      timeout: 30_000,
    });
    assert.equal(stdout, 'syntax error at or near "tabel" echo\n');
  });
});
