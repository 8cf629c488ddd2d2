// `npm run programs -- [--programs N] [--seed S] [--seconds S] [--store postgres|pglite] [--at-once N]`: runs random
// programs of calls on the engine and on a model of docs/guarantees.md, and compares every answer.

import { parseArgs } from "node:util";
import { openDatabase } from "../../../src/store/database.ts";
import { migrate } from "../../../src/store/migrate.ts";
import { openEmbedded } from "../../support/open-stores.ts";
import type { TestStore } from "../../support/open-stores.ts";
import { startServer } from "../../support/postgres.ts";
import { comparePrograms, describeDifference, shrink } from "./comparison.ts";

/** How many differences are printed. */
const SHOWN_MAX = 3;
const REPORT_MS = 60_000;

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "1000" },
    seed: { type: "string" },
    seconds: { type: "string", default: "Infinity" },
    store: { type: "string", default: "postgres" },
    "at-once": { type: "string" },
    "until-difference": { type: "boolean" },
  },
});
const isEmbedded = values.store === "pglite";
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const servers = isEmbedded ? 1 : 2;
const atOnce = Number(values["at-once"] ?? (isEmbedded ? 20 : 50));

/** Opens a database on a server of its own, without fsync: no program outlives a crash. */
async function openFastPostgres(): Promise<TestStore> {
  const server = await startServer({ settings: { fsync: "off" } });
  const store = await openDatabase({ url: server.url });
  await migrate(store.db);
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

console.log(`seed ${seed}: ${values.programs} programs on ${isEmbedded ? "PGlite" : `Postgres, ${servers} servers`}`);
await using store = await (isEmbedded ? openEmbedded() : openFastPostgres());
const begin = performance.now();
const until = begin + 1_000 * Number(values.seconds);
let reported = begin;
let hasDiffered = false;
const { programs, calls, differences } = await comparePrograms(store, {
  seed,
  programs: Number(values.programs),
  servers,
  atOnce,
  isOver: () => performance.now() >= until || (hasDiffered && values["until-difference"] === true),
  onProgram(done, differed) {
    hasDiffered = differed > 0;
    if (performance.now() < reported + REPORT_MS) return;
    reported = performance.now();
    console.log(`${done} programs, ${differed} differed`);
  },
});
const rate = (programs / (performance.now() - begin)) * 1_000;
for (const difference of differences.slice(0, SHOWN_MAX)) {
  console.log(describeDifference(await shrink(store, difference, servers)));
}
console.log(`${programs} programs of ${calls} calls, ${rate.toFixed(1)} a second: ${differences.length} differed`);
if (differences.length > 0) process.exitCode = 1;
