import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { PYTHON } from "../../fault/support/python-package.ts";
import { startCrew } from "../../fault/support/worker-crew.ts";
import type { CrewMember } from "../../fault/support/worker-crew.ts";

const WORKLOAD = join(import.meta.dirname, "..", "workload");
const TYPESCRIPT = 2;
const CONCURRENCY = 16;

interface WorkersOptions {
  /** Where the workers connect. */
  address: string;
  /** Of their notes. */
  folder: string;
  /** Workers in TypeScript serve the first, and the one in Python serves the second. */
  namespaces: readonly string[];
  gaps: string[];
  log: (source: string, text: string) => void;
}

/** Starts the workers. Disposing kills them. */
export function startWorkers({ address, folder, namespaces, gaps, log }: WorkersOptions) {
  const hasPython = spawnSync(PYTHON, ["-c", "import grpc"]).status === 0;
  if (!hasPython) gaps.push("the worker in Python: python3-grpcio is missing");
  const programOf = ({ language }: CrewMember): [string, string] =>
    language === "python"
      ? [PYTHON, join(WORKLOAD, "python_worker.py")]
      : [process.execPath, join(WORKLOAD, "worker-process.ts")];
  const crew = startCrew(
    { typescript: TYPESCRIPT, python: hasPython ? 1 : 0 },
    {
      address,
      folder,
      concurrency: CONCURRENCY,
      commandOf(worker) {
        const namespace = namespaces[worker.language === "python" ? 1 : 0]!;
        return [...programOf(worker), address, namespace, folder, nameOf(worker), `${CONCURRENCY}`];
      },
      onPrinted: (worker, line) => log(nameOf(worker), `${line}\n`),
      onDied: (worker, how) => log(nameOf(worker), `ended by itself with ${how}\n`),
    },
  );
  return { members: crew, hasPython, [Symbol.asyncDispose]: () => crew[Symbol.asyncDispose]() };
}

/** Returns the name of a worker in the history. */
export function nameOf({ name }: Pick<CrewMember, "name">): string {
  return name.replace(" ", "-");
}
