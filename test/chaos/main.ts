// `npm run chaos`: attacks a Spool, and checks what it promises. See README.md.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkHistory } from "./check-history.ts";
import { ALL_FAULTS } from "./faults/all-faults.ts";
import { readOptions, USAGE } from "./options.ts";
import type { Options } from "./options.ts";
import { writeHistory } from "./recorder.ts";
import { describeRun } from "./report.ts";
import { runChaos } from "./run.ts";
import { Guard } from "./target/guard.ts";

const USAGE_ERROR = 2;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions(
      process.argv.slice(2),
      ALL_FAULTS.map(({ name }) => name),
    );
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return USAGE_ERROR;
  }
  const { seed, minutes } = options;
  console.log(`seed: ${seed}`);
  const folder = mkdtempSync(join(tmpdir(), "spool-chaos-"));
  await using guard = new Guard(folder);
  const history = options.history ?? join(folder, "history.jsonl");
  const startedAt = performance.now();
  const notify = (progress: string) =>
    console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0)} s: ${progress}`);
  const { lines, gaps, problems } = await runChaos(options, { folder, guard, notify });
  await writeHistory(history, lines);
  console.log(`seed: ${seed}; minutes: ${minutes}\n${describeRun(lines, gaps)}`);
  for (const problem of problems) console.log(`fault failed: ${problem}`);
  const { violations, text } = checkHistory(lines);
  const isEmpty = !lines.some(({ type }) => type === "settled"); // As against an address where nothing listens.
  if (isEmpty) console.log("nothing was checked: no start was answered");
  else console.log(`violations: ${violations}\n${text}`);
  if (violations === 0 && problems.length === 0 && !isEmpty) return 0;
  guard.keepFolder();
  console.log(`history: ${history}; logs: ${folder}`);
  return 1;
}
