import { readFileSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { cpuRowsOf } from "./cpu/rows.ts";
import type { Options } from "./options.ts";
import type { Report } from "./report.ts";

// What `--report` writes, for a reader on another machine: docs/performance.md, "Send us your figures". It holds no name
// of a host or user, no address, path or token.

const FORMAT = "spool-bench";
/** Is raised when a reader of an earlier version would misread the document. */
const VERSION = 1;

/** JSON has no word for what is not a number, and writes null. */
const figure = v.pipe(
  v.union([v.number(), v.nan(), v.null()]),
  v.transform((value) => value ?? Number.NaN),
);

const comparison = v.object({
  with: v.string(),
  figure: figure,
  sameRun: v.boolean(),
  ratio: figure,
});

const part = v.picklist(["client", "server", "database"]);

const result = v.object({
  name: v.string(),
  unit: v.string(),
  about: v.string(),
  median: figure,
  rounds: v.array(figure),
  comparisons: v.array(comparison),
  cpu: v.optional(v.object({ of: v.string(), part })),
});

const cpuRow = v.object({
  of: v.string(),
  unit: v.string(),
  parts: v.record(part, v.optional(figure)),
  total: figure,
  rounds: v.array(figure),
  shares: v.record(part, v.optional(figure)),
});

const document = v.object({
  format: v.literal(FORMAT),
  version: v.literal(VERSION),
  machine: v.object({
    processor: v.string(),
    cores: v.number(),
    memoryGib: v.number(),
    system: v.string(),
    versions: v.record(v.string(), v.string()),
    commit: v.string(),
  }),
  options: v.object({
    names: v.array(v.string()),
    rounds: v.number(),
    small: v.boolean(),
    shards: v.number(),
    postgres: v.number(),
    servers: v.number(),
    clients: v.nullable(v.number()),
    seconds: v.nullable(v.number()),
  }),
  takenAt: v.string(),
  seconds: v.number(),
  loadBefore: v.number(),
  loadAfter: v.number(),
  results: v.array(result),
  cpu: v.array(cpuRow),
  failures: v.array(v.object({ measure: v.string(), round: v.nullable(v.number()), error: v.string() })),
});

/** A run of the benchmark, as it is sent. */
export type Document = v.InferOutput<typeof document>;

export function documentOf(report: Report, options: Options): Document {
  const { machine, takenAt, seconds, loadBefore, loadAfter, results, failures } = report;
  const { names, rounds, small, size, clientsElsewhere, clients, seconds: each } = options;
  return {
    format: FORMAT,
    version: VERSION,
    machine,
    options: {
      names: [...names],
      rounds,
      small,
      ...size,
      clients: clientsElsewhere ? (clients ?? 1) : null,
      seconds: each ?? null,
    },
    takenAt,
    seconds,
    loadBefore,
    loadAfter,
    results: v.parse(v.array(result), results),
    cpu: v.parse(v.array(cpuRow), cpuRowsOf(results)),
    // The stack has paths of this machine.
    failures: failures.map(({ error, ...failure }) => ({ ...failure, error: error.split("\n")[0]! })),
  };
}

export function writeDocument(path: string, document: Document): void {
  writeFileSync(path, `${JSON.stringify(document, null, 2)}\n`);
}

/** @throws TypeError for what is no document of `--report`, and what readFileSync throws */
export function readDocument(path: string): Document {
  const text = readFileSync(path, "utf8");
  try {
    return v.parse(document, JSON.parse(text));
  } catch (error) {
    const why = v.isValiError(error)
      ? `${v.getDotPath(error.issues[0])}: ${error.issues[0].message}`
      : (error as Error).message;
    throw new TypeError(`${path} is no document of npm run bench -- --report: ${why}`, { cause: error });
  }
}
