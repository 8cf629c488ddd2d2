import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PYTHON, PYTHON_PATH } from "./python-package.ts";

/** What the workers of a crew are told. */
export interface CrewOptions {
  /** What the names of the workers begin with. */
  prefix?: string;
  /** The folder of the checkout whose worker to run, for workers in TypeScript. Default: this checkout. */
  root?: string;
  /** The whole command of a worker. Default: the worker of the fault scenarios. */
  commandOf?: (worker: CrewMember) => readonly [string, ...string[]];
  /** Where they connect. */
  address: string;
  /** Where they write their notes. */
  folder: string;
  /** How many tasks each runs at once. */
  concurrency: number;
  /** Told what a worker prints on its standard error: one that has nothing to say says nothing. */
  onPrinted: (worker: CrewMember, line: string) => void;
  /** Told when a worker ends that nobody has ended. */
  onDied: (worker: CrewMember, how: string) => void;
}

const ROOT = join(import.meta.dirname, "..", "..", "..");
const SUPPORT = join("test", "fault", "support");

const PROGRAMS = {
  typescript: (root: string) => [process.execPath, join(root, SUPPORT, "worker-process.ts")] as const,
  python: () => [PYTHON, join(ROOT, SUPPORT, "python_steps.py")] as const,
};

export type WorkerLanguage = keyof typeof PROGRAMS;

/** One of the processes that a worker was. */
export interface WorkerProcess {
  readonly pid: number;
  /** When it was killed, or told to stop. */
  endedAt: Date | null;
}

/** A worker in a process of its own. When it is ended another takes its place. */
export class CrewMember implements AsyncDisposable {
  readonly name: string;
  readonly language: WorkerLanguage;
  /** The one that runs last. */
  readonly processes: WorkerProcess[] = [];
  readonly #options: CrewOptions;
  readonly #onExit = () => this.#child?.kill("SIGKILL");
  #child: ChildProcess | null = null;
  #over: Promise<unknown> = Promise.resolve();

  constructor(name: string, language: WorkerLanguage, options: CrewOptions) {
    this.name = name;
    this.language = language;
    this.#options = options;
    process.on("exit", this.#onExit);
    this.#start();
  }

  /**
   * Kills it, or tells it to stop; waits until it has ended, and starts it anew.
   *
   * @returns how it has exited, null by a signal; null instead: it is being ended already
   */
  async replace(signal: "SIGKILL" | "SIGTERM"): Promise<{ exitCode: number | null } | null> {
    const child = this.#end(signal);
    if (child === null) return null;
    await this.#over;
    this.#start();
    return { exitCode: child.exitCode };
  }

  /** Sends SIGSTOP or SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  #start(): void {
    const { root = ROOT, commandOf, address, folder, concurrency, onPrinted, onDied } = this.#options;
    const [program, ...args] =
      commandOf?.(this) ?? ([...PROGRAMS[this.language](root), address, folder, `${concurrency}`] as const);
    // Its standard input ends with this process, however that ends.
    const env = { ...process.env, PYTHONPATH: PYTHON_PATH };
    const child = spawn(program, args, { env, stdio: ["pipe", "inherit", "pipe"] });
    this.processes.push({ pid: child.pid!, endedAt: null });
    this.#child = child;
    createInterface({ input: child.stderr! }).on("line", (line) => onPrinted(this, line));
    this.#over = once(child, "exit").then(([code, signal]) => {
      if (this.#child === child) onDied(this, String(code ?? signal));
    });
  }

  #end(signal: NodeJS.Signals): ChildProcess | null {
    const child = this.#child;
    if (child === null) return null;
    this.#child = null;
    this.processes.at(-1)!.endedAt = new Date();
    child.kill(signal);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off("exit", this.#onExit);
    this.#end("SIGKILL");
    await this.#over;
  }
}

export type Crew = readonly CrewMember[] & AsyncDisposable;

/** Starts so many workers of each language. Disposing kills them. */
export function startCrew(counts: Readonly<Record<WorkerLanguage, number>>, options: CrewOptions): Crew {
  const started = new AsyncDisposableStack();
  const members = Object.entries(counts).flatMap(([language, count]) =>
    Array.from({ length: count }, (_, index) =>
      started.use(
        new CrewMember(`${options.prefix ?? ""}${language} ${index + 1}`, language as WorkerLanguage, options),
      ),
    ),
  );
  return Object.assign(members, { [Symbol.asyncDispose]: () => started.disposeAsync() });
}
