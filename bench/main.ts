// `npm run bench [-- NAME…]`: how fast it is, beside what Postgres and gRPC could do at best in the same minutes.
//
// Figures of a machine drift by more than most changes are worth, so what counts is the ratios: every measure is taken
// once a round, in turn with what it is compared with, and a ratio is the median of the rounds' own ratios.

import { writeFileSync } from "node:fs";
import { styleText } from "node:util";
import { drawChart } from "./chart.ts";
import { describeMachine, loadNow } from "./machine.ts";
import { parseOptions, STDOUT, USAGE } from "./options.ts";
import type { Options } from "./options.ts";
import { installPeers, peerVersions } from "./peers/installed.ts";
import { describeRun, reportOf } from "./report.ts";
import type { Report } from "./report.ts";
import { resultsOf } from "./results.ts";
import { takeRounds } from "./rounds.ts";
import { selectMeasures } from "./selection.ts";
import { startServers } from "./servers.ts";
import { formatTable } from "./table.ts";
import { formatVerdicts, verdictsOf } from "./verdicts.ts";

const SMALL = 1 / 50;

const options = readOptions();
if (options !== null) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  process.exitCode = await bench(options);
}

/** @returns null where all is said */
function readOptions(): Options | null {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (!options.help) return options;
    console.log(USAGE);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
  }
  return null;
}

/** @returns the exit code */
async function bench(options: Options): Promise<number> {
  const say = options.json === STDOUT ? () => {} : console.log; // A program that asked for JSON gets nothing else.
  if (options.svg !== undefined) installPeers(); // What draws is among them; before the work, in case it is not to be had.
  const report = await take(options, say);
  const { results, rounds, seconds, loadAfter } = report;
  if (options.json === STDOUT) console.log(JSON.stringify(report, null, 2));
  else if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, drawChart(report));
  say(`\n${formatTable(results)}\n`);
  say("spread: half the way from the lowest round to the highest   *: noted on another day and machine");
  say(`${rounds} rounds in ${seconds} s; load ${loadAfter} after`);
  if (options.small) say("The heavy ones were taken small: their figures mean nothing.");
  if (!options.check) return 0;
  const verdicts = verdictsOf(results);
  say(`\n${verdicts.length === 0 ? "Nothing was compared with a bar." : formatVerdicts(verdicts)}`);
  if (verdicts.length === 0) return 2;
  return verdicts.every(({ held }) => held) ? 0 : 1;
}

async function take(options: Options, say: (text: string) => void): Promise<Report> {
  const { rounds, small } = options;
  const measures = selectMeasures(options);
  const startedAt = performance.now();
  const loadBefore = loadNow();
  await using servers = await startServers({ profileDir: options.profile });
  const peers = measures.some(({ only }) => only === "peer") ? peerVersions() : {};
  const machine = describeMachine({ postgres: servers.postgresVersion, ...peers });
  for (const line of describeRun({ machine })) say(line);
  say(`load ${loadBefore} before`);
  const size = (full: number) => (small ? Math.max(1, Math.round(full * SMALL)) : full);
  const taken = await takeRounds(measures, { servers, rounds, size, onStep: showStep });
  showStep("");
  return reportOf({ machine, rounds, small, loadBefore, startedAt, results: resultsOf(measures, taken) });
}

/** What is being measured now, where somebody watches, on one line that is written over. */
function showStep(step: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${styleText("dim", step)}`);
}
