// `npm run bench [-- NAME…]`: how fast it is, beside what Postgres and gRPC could do at best in the same minutes.
//
// Figures of a machine drift by more than most changes are worth, so what counts is the ratios: every measure is taken
// once a round, in turn with what it is compared with, and a ratio is the median of the rounds' own ratios.

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { inspect, styleText } from "node:util";
import { cpuRowsOf, formatCpuTable } from "./cpu/rows.ts";
import { drawChart } from "./chart.ts";
import { compareDocuments } from "./compare.ts";
import { documentOf, readDocument, writeDocument } from "./document.ts";
import { clientsElsewhere } from "./elsewhere/clients-elsewhere.ts";
import { formatFigure } from "./format.ts";
import { describeMachine, loadNow } from "./machine.ts";
import { parseOptions, STDOUT, USAGE } from "./options.ts";
import type { Options } from "./options.ts";
import { installPeers, peerVersions } from "./peers/installed.ts";
import { describeRun, reportOf } from "./report.ts";
import type { Report } from "./report.ts";
import { resultsOf } from "./results.ts";
import type { Taken } from "./results.ts";
import { takeRounds } from "./rounds.ts";
import type { Watcher } from "./rounds.ts";
import { selectMeasures } from "./selection.ts";
import { startServers } from "./servers.ts";
import { formatTable } from "./table.ts";
import { formatVerdicts, verdictsOf } from "./verdicts.ts";

const SMALL = 1 / 50;
const LOOPBACK = "127.0.0.1";

const options = readOptions();
if (options !== null) await (options.compare.length === 2 ? compareBoth(options.compare) : bench(options));

/** @returns null where all is said */
function readOptions(): Options | null {
  try {
    const options = parseOptions(process.argv.slice(2));
    for (const file of options.compare) readDocument(file); // Before the work, in case it is not to be had.
    if (!options.help) return options;
    console.log(USAGE);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
  }
  return null;
}

/** Measures nothing. */
function compareBoth([a, b]: readonly string[]): void {
  console.log(compareDocuments(readDocument(a!), readDocument(b!)));
}

async function bench(options: Options): Promise<void> {
  if (options.svg !== undefined) installPeers(); // What draws is among them; before the work, in case it is not to be had.
  const { rounds, small } = options;
  const say = sayOf(options);
  const { listen: host = LOOPBACK, size } = options;
  const token = options.clientsElsewhere
    ? process.env["SPOOL_TOKEN"] || randomBytes(24).toString("base64url")
    : undefined;
  const measures = token === undefined ? selectMeasures(options) : [clientsElsewhere({ host, token, say })];
  const startedAt = performance.now();
  const loadBefore = loadNow();
  await using servers = await startServers({ profileDir: options.profile, size, host, token });
  const peers = measures.some(({ only }) => only === "peer") ? peerVersions() : {};
  const machine = describeMachine({ postgres: servers.postgresVersion, ...peers });
  const failures: Report["failures"][number][] = [];
  const taken: Taken = new Map();
  const report = () =>
    reportOf({ machine, rounds, small, loadBefore, startedAt, results: resultsOf(measures, taken), failures });

  for (const line of describeRun({ machine })) say(line);
  say(`load ${loadBefore} before`);
  // A run that is ended from outside, or by what nobody caught, says and writes what it has.
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(tell(options, report(), signal)));
  process.once("uncaughtException", (error) => process.exit(tell(options, report(), inspect(error))));
  await takeRounds(measures, {
    rounds,
    prepare: (measure) =>
      measure.prepare(servers, (full) => (small ? Math.max(1, Math.round(full * SMALL)) : full), options),
    taken,
    watcher: watch({
      onTaken: () => writeJson(options, report()),
      onFailure: ({ error, ...failure }) => failures.push({ ...failure, error: inspect(error) }),
    }),
  });
  showStep("");
  process.exitCode = tell(options, report());
}

/** Prints a run, and writes it where it is wanted. @param cut why it was not taken to its end @returns the exit code */
function tell(options: Options, report: Report, cut?: string): number {
  const say = sayOf(options);
  const { results, rounds, seconds, loadAfter, failures, small } = report;
  writeJson(options, report);
  if (options.json === STDOUT) console.log(JSON.stringify(report, null, 2));
  const [figures, times] = [results.filter(({ cpu }) => cpu === undefined), cpuRowsOf(results)];
  if (figures.length > 0 || times.length === 0) say(`\n${formatTable(figures)}\n`);
  if (times.length > 0) say(`\n${formatCpuTable(times)}\n`);
  say("spread: half the way from the lowest round to the highest   *: noted on another day and machine");
  say(`${rounds} rounds in ${seconds} s; load ${loadAfter} after`);
  if (small) say("The heavy ones were taken small: their figures mean nothing.");
  for (const { measure } of failures) say(`✗ ${measure} failed: what it gave before is above, the rest is missing.`);
  if (cut !== undefined) say(`✗ The run was cut off: ${cut}`);
  const verdicts = verdictsOf(results);
  if (options.check) say(`\n${verdicts.length === 0 ? "Nothing was compared with a bar." : formatVerdicts(verdicts)}`);
  const [other] = options.compare;
  if (other !== undefined) say(`\n${compareDocuments(documentOf(report, options), readDocument(other))}`);
  if (options.svg !== undefined) writeFileSync(options.svg, drawChart(report));
  if (failures.length > 0 || cut !== undefined) return 1;
  if (!options.check) return 0;
  if (verdicts.length === 0) return 2;
  return verdicts.every(({ held }) => held) ? 0 : 1;
}

/** A program that asked for JSON gets nothing else. */
function sayOf({ json }: Options): (text: string) => void {
  return json === STDOUT ? () => {} : console.log;
}

function writeJson(options: Options, report: Report): void {
  const { json, report: path } = options;
  if (path !== undefined) writeDocument(path, documentOf(report, options));
  if (json !== undefined && json !== STDOUT) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
}

/** Says on standard error how the run goes: each figure when it is taken, and each failure, whole. */
function watch({ onTaken, onFailure }: Omit<Watcher, "onStep">): Watcher {
  return {
    onStep: showStep,
    onTaken(round, figures) {
      showStep("");
      for (const { name, unit, value } of figures)
        console.error(`round ${round}: ${name} ${formatFigure(value)} ${unit}`);
      onTaken(round, figures);
    },
    onFailure(failure) {
      const { measure, round, error } = failure;
      showStep("");
      console.error(`✗ ${measure} failed${round === null ? "" : ` in round ${round}`}: ${inspect(error)}`);
      onFailure(failure);
    },
  };
}

/** What is being measured now, where somebody watches, on one line that is written over. */
function showStep(step: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${styleText("dim", step)}`);
}
