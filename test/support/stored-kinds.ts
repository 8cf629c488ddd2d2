import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { defineKind, defineKinds } from "../../src/kinds/define-kind.ts";

/** A package with a table of its own, whose kind counts in it. It leaves a file in its folder of sources when it is closed. */
export const counting = defineKinds({
  name: "counting",
  migrations: [
    { name: "0001-counts", up: async (queries) => void (await queries.query("create table counts (count int)")) },
    { name: "0002-first", up: async (queries) => void (await queries.query("insert into counts values (0)")) },
  ],
  open: ({ database, databaseUrl, namespace, model, sourcesDir }) => ({
    kinds: [
      defineKind({
        name: "count",
        params: v.strictObject({}),
        async run() {
          const [row] = await database.query<{ count: number }>("update counts set count = count + 1 returning count");
          return { count: row!.count, databaseUrl, namespace, model: model && { ...model } };
        },
      }),
    ],
    async close() {
      writeFileSync(join(sourcesDir, "closed"), "");
    },
  }),
});
