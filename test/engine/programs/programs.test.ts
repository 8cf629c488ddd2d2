import assert from "node:assert/strict";
import { openEmbedded, openPostgres } from "../../support/open-stores.ts";
import { comparePrograms, describeDifference, shrink } from "./comparison.ts";

const STORES = [
  { name: "Postgres with two servers", open: openPostgres, programs: 120, servers: 2, atOnce: 50 },
  { name: "PGlite", open: openEmbedded, programs: 20, servers: 1, atOnce: 20 },
];

describe("random programs of calls", function () {
  this.timeout(300_000);

  for (const { name, open, programs, servers, atOnce } of STORES) {
    it(`get the answers of the model of guarantees.md, on ${name}`, async () => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      console.log(`      seed ${seed}`);
      await using store = await open();
      const { differences } = await comparePrograms(store, { seed, programs, servers, atOnce });
      const [first] = differences;
      assert.ok(first === undefined, first && describeDifference(await shrink(store, first, servers)));
    });
  }
});
