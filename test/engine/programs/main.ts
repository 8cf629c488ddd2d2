// `npm run programs -- [--programs N] [--seed S] [--seconds S] [--store postgres|pglite] [--at-once N]`: runs random
// programs of calls on the engine and on a model of docs/guarantees.md, and compares every answer.

import { inspect, parseArgs } from "node:util";
import { openEmbedded, openPostgres } from "../../support/open-stores.ts";
import { stopPostgres } from "../../support/postgres.ts";
import { comparePrograms, shrink } from "./comparison.ts";
import type { Difference } from "./comparison.ts";

/** How many differences are printed. */
const SHOWN = 3;

const { values } = parseArgs({
  options: {
    programs: { type: "string", default: "1000" },
    seed: { type: "string" },
    seconds: { type: "string", default: "Infinity" },
    store: { type: "string", default: "postgres" },
    "at-once": { type: "string" },
  },
});
const isEmbedded = values.store === "pglite";
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const servers = isEmbedded ? 1 : 2;
const atOnce = Number(values["at-once"] ?? (isEmbedded ? 20 : 60));
console.log(`seed ${seed}: ${values.programs} programs on ${isEmbedded ? "PGlite" : `Postgres, ${servers} servers`}`);

{
  await using store = await (isEmbedded ? openEmbedded() : openPostgres());
  const begin = performance.now();
  const until = begin + 1_000 * Number(values.seconds);
  const isOver = () => performance.now() >= until;
  const { programs, calls, differences } = await comparePrograms(store, {
    seed,
    programs: Number(values.programs),
    servers,
    atOnce,
    isOver,
  });
  const rate = (programs / (performance.now() - begin)) * 1_000;
  for (const difference of differences.slice(0, SHOWN)) show(difference);
  console.log(`${programs} programs of ${calls} calls, ${rate.toFixed(1)} a second: ${differences.length} differed`);
  if (differences.length > 0) process.exitCode = 1;
}
await stopPostgres();

function show({ seed: own, program, index, expected, actual }: Difference): void {
  console.log(`✗ the program of seed ${own} differs in its call ${index + 1}:`);
  for (const call of program.slice(0, index + 1)) console.log(`  ${JSON.stringify(call)}`);
  console.log(`expected ${inspect(expected, { depth: 9 })}\nactual ${inspect(actual, { depth: 9 })}`);
}
