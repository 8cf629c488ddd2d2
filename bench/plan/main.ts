// `npm run bench:plan -- FILE`: the arithmetic of docs/scale.md with the CPU times of a document of `--report`.

import { parseArgs } from "node:util";
import { setColumns } from "../columns.ts";
import { readDocument } from "../document.ts";
import { formatFigure } from "../format.ts";
import { planOf } from "./plan.ts";
import type { Plan } from "./plan.ts";

const USAGE = `npm run bench:plan -- FILE [options]

Computes cores and servers from the CPU times in FILE, which npm run bench -- cpu --report FILE has written.
docs/scale.md has the formulas.

  --tasks-per-day N        (100,000,000)
  --peak N                 load of the busiest hour, to the mean (2)
  --events N               events of a task besides started and final (10)
  --waiting N              share of tasks that wait for a slot, 0 to 1 (0.1)
  --followers N            followers that wait at one time (20,000)
  --followers-per-event N  followers that get each event (1)
  --busy N                 how busy a core may be, 0 to 1 (0.6)`;

const STEPS: readonly (readonly [step: string, key: keyof Plan])[] = [
  ["tasks a second in the busiest hour", "tasksPerSecond"],
  ["CPU of servers per task, µs", "serverUs"],
  ["CPU of the database per task, µs", "databaseUs"],
  ["CPU of clients per task, µs", "clientUs"],
  ["CPU of servers for waiting followers, µs a second", "followersServerUs"],
  ["CPU of the database for waiting followers, µs a second", "followersDatabaseUs"],
  ["cores of servers", "serverCores"],
  ["servers, with one more", "servers"],
  ["cores of databases", "databaseCores"],
  ["cores of clients that follow each task", "clientCores"],
];

try {
  main();
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exitCode = 2;
}

function main(): void {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "tasks-per-day": text("100000000"),
      peak: text("2"),
      events: text("10"),
      waiting: text("0.1"),
      followers: text("20000"),
      "followers-per-event": text("1"),
      busy: text("0.6"),
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const [file] = positionals;
  if (file === undefined) throw new TypeError("give the file of a report");
  const number = (option: Exclude<keyof typeof values, "help">) => {
    const value = Number(values[option]);
    if (!(value >= 0 && value < Infinity)) throw new TypeError(`--${option} takes a number from 0`);
    return value;
  };
  const busy = number("busy");
  if (!(busy > 0 && busy <= 1)) throw new TypeError("--busy takes a number above 0, at most 1");
  const plan = planOf(readDocument(file).cpu, {
    tasksPerDay: number("tasks-per-day"),
    peak: number("peak"),
    events: number("events"),
    waiting: number("waiting"),
    followers: number("followers"),
    followersPerEvent: number("followers-per-event"),
    busy,
  });
  console.log(
    setColumns([["step", "value"], ...STEPS.map(([step, key]) => [step, formatFigure(plan[key])])], new Set([1])),
  );
}
