// `npm run bench [-- NAME…]`: how fast it is, beside what Postgres and gRPC could do at best in the same minutes.
//
// Figures of a machine drift by more than most changes are worth, so what counts is the ratios: every measure is taken
// once a round, in turn with what it is compared with, and a ratio is the median of the rounds' own ratios.

import { parseArgs, styleText } from "node:util";
import { describeMachine, loadNow } from "./machine.ts";
import type { Comparison, Measure } from "./measure.ts";
import { events1, events16 } from "./measures/events.ts";
import { grpcStream, grpcStream16, grpcStreamBytes } from "./measures/grpc-stream.ts";
import { grpcUnary } from "./measures/grpc-unary.ts";
import { latencyP50, latencyP99 } from "./measures/latency.ts";
import { postgres1024, postgres256 } from "./measures/postgres-batches.ts";
import { postgresRead } from "./measures/postgres-read.ts";
import { postgresInsertP50, postgresRows } from "./measures/postgres-rows.ts";
import { replay } from "./measures/replay.ts";
import { runTask } from "./measures/run-task.ts";
import { shortTasks } from "./measures/short-tasks.ts";
import { startTask } from "./measures/start-task.ts";
import { startServers } from "./servers.ts";
import { median } from "./statistics.ts";
import { formatTable } from "./table.ts";
import type { Compared, Result } from "./table.ts";

/** In the order of a round: each near what it is compared with. */
const MEASURES: readonly Measure[] = [
  shortTasks,
  runTask,
  startTask,
  grpcUnary,
  events16,
  postgres1024,
  postgres256,
  grpcStream16,
  events1,
  latencyP50,
  latencyP99,
  postgresInsertP50,
  postgresRows,
  replay,
  grpcStream,
  grpcStreamBytes,
  postgresRead,
];

const USAGE = `npm run bench [-- [options] NAME…]

Takes the measures named, or all, and those that they are compared with.

  --rounds N      how often each is taken (3)
  --only          leave out what the measures named are compared with
  --json          print JSON
  --profile DIR   the server leaves a CPU profile there when it stops

${MEASURES.map(({ name, about }) => `  ${name.padEnd(20)} ${about}`).join("\n")}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    profile: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const unknown = positionals.filter((wanted) => !MEASURES.some(({ name }) => name === wanted));
if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.log(USAGE);
  process.exitCode = values.help ? 0 : 2;
} else {
  await main(choose(positionals));
}

async function main(measures: readonly Measure[]): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  await using servers = await startServers({ profileDir: values.profile });
  const machine = describeMachine(servers.postgresVersion);
  const loadBefore = loadNow();
  say(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGib} GiB; load ${loadBefore} before`);
  say(`Node ${machine.node}, PostgreSQL ${machine.postgres}, commit ${machine.commit}`);
  const startedAt = performance.now();
  const figures = await takeRounds(measures, servers);
  const results = measures.map((measure) => resultOf(measure, figures));
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  if (values.json) {
    console.log(JSON.stringify({ machine, loadBefore, loadAfter: loadNow(), rounds, seconds, results }, null, 2));
    return;
  }
  say(`\n${formatTable(results)}\n`);
  say("spread: half the way from the lowest round to the highest   *: noted on another day and machine");
  say(`${rounds} rounds in ${seconds} s; load ${loadNow()} after`);
}

/** The measures named and, unless there are to be only these, what they are compared with. */
function choose(names: readonly string[]): Measure[] {
  if (names.length === 0) return [...MEASURES];
  const wanted = new Set(names);
  if (!values.only) {
    for (const { name, comparisons = [] } of MEASURES) {
      if (names.includes(name)) for (const { with: other } of comparisons) wanted.add(other);
    }
  }
  return MEASURES.filter(({ name }) => wanted.has(name));
}

type Figures = ReadonlyMap<string, number[]>;

async function takeRounds(measures: readonly Measure[], servers: Parameters<Measure["prepare"]>[0]): Promise<Figures> {
  const figures = new Map<string, number[]>(measures.map(({ name }) => [name, []]));
  await using opened = new AsyncDisposableStack();
  const prepared = [];
  for (const measure of measures) {
    const { run, close } = await measure.prepare(servers);
    opened.defer(close);
    prepared.push({ name: measure.name, run });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { name, run } of prepared) {
      progress(`round ${round} of ${rounds}: ${name}`);
      figures.get(name)!.push(await run());
    }
  }
  progress("");
  return figures;
}

function resultOf({ name, unit, about, comparisons = [] }: Measure, figures: Figures): Result {
  const taken = figures.get(name)!;
  const compared = comparisons.flatMap((comparison) => compare(taken, comparison, figures));
  return { name, unit, about, median: median(taken), rounds: taken, comparisons: compared };
}

/** Round by round, as far as the other was measured at all: what was slow for both in a round is in neither's favour. */
function compare(taken: readonly number[], { with: other, noted, bar }: Comparison, figures: Figures): Compared[] {
  const others = noted === undefined ? figures.get(other) : taken.map(() => noted);
  if (others === undefined) return [];
  const ratio = median(taken.map((figure, round) => figure / others[round]!));
  return [{ with: other, figure: median(others), sameRun: noted === undefined, ratio, ...(bar && { bar }) }];
}

/** For people; a program that asked for JSON gets nothing else. */
function say(text: string): void {
  if (!values.json) console.log(text);
}

/** What is being measured now, where somebody watches, on one line that is written over. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${styleText("dim", text)}`);
}
