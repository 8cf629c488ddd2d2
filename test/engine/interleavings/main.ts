// `npm run interleavings -- [--seconds S] [--runs N] [--seed S]`: runs the journal and the feed in many interleavings,
// under a scheduler that a seed controls. `SPOOL_SEED=S npm run interleavings` repeats one of them.

import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { seedOf } from "../../support/choices.ts";
import { controlClock } from "./controlled-clock.ts";
import { runInterleaving, shrink } from "./interleaving.ts";

/** How many steps of a failed run are printed. */
const STEPS_SHOWN = 300;

const realNow = performance.now.bind(performance);
const { values } = parseArgs({
  options: {
    seconds: { type: "string" },
    runs: { type: "string" },
    seed: { type: "string" },
    digest: { type: "boolean" },
  },
});
controlClock();
Error.stackTraceLimit = 0; // A run makes many errors, and no stack of them is read.

async function repeat(seed: number): Promise<boolean> {
  const run = await runInterleaving(seed);
  if (run.violations.length === 0) {
    console.log(`seed ${seed}: nothing is wrong (${run.steps} steps)`);
    return true;
  }
  const most = await shrink(seed, run);
  const shortest = await runInterleaving(seed, { most, isTraced: true });
  console.log(`seed ${seed}, with its first ${most} of ${run.choices} random choices:`);
  console.log(JSON.stringify(shortest.plan, null, 1).replaceAll(/\n\s+/g, " "));
  for (const line of shortest.trace.slice(0, STEPS_SHOWN)) console.log(`  ${line}`);
  for (const violation of new Set(shortest.violations)) console.log(`✗ ${violation}`);
  console.log(`Repeat it: SPOOL_SEED=${seed} npm run interleavings`);
  return false;
}

async function runMany(): Promise<boolean> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  const runs = Number(values.runs ?? Infinity);
  const until = realNow() + 1_000 * Number(values.seconds ?? (values.runs === undefined ? 10 : Infinity));
  console.log(`seed ${seed}`);
  const begun = process.cpuUsage();
  const digest = createHash("sha256");
  let [done, steps] = [0, 0];
  for (; done < runs && realNow() < until; done++) {
    const run = await runInterleaving(seedOf(seed, done), { isTraced: values.digest ?? false });
    digest.update(run.trace.join("\n"));
    steps += run.steps;
    if (run.violations.length > 0) {
      console.log(`run ${done + 1} of ${steps} steps has failed`);
      return repeat(seedOf(seed, done));
    }
  }
  const { user, system } = process.cpuUsage(begun);
  const rate = Math.round((1e6 * done) / (user + system));
  console.log(`${done} interleavings of ${Math.round(steps / done)} steps on average, ${rate} a second of CPU time`);
  if (values.digest) console.log(`digest ${digest.digest("hex")}`);
  return true;
}

const { SPOOL_SEED } = process.env;
process.exitCode = (await (SPOOL_SEED === undefined ? runMany() : repeat(Number(SPOOL_SEED)))) ? 0 : 1;
