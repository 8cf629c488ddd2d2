import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { endsOfStreams, mergeHistories } from "../merge-histories.ts";
import { readHistory } from "../recorder.ts";
import type { HistoryLine } from "../history.ts";
import type { CrowdSettings } from "./crowd.ts";

const PROGRAM = join(import.meta.dirname, "crowd-process.ts");

export interface CrowdProcessSettings extends CrowdSettings {
  /** The file of what this process sees. */
  history: string;
  originMs: number;
}

/** What the parent tells a process, and what the process says. */
export type CrowdOrder = "stop" | "finish";
export type CrowdReport = "stopped" | "left";

/** One process, from its start to its end. */
interface Life {
  child: ChildProcess;
  history: string;
  wasKilled: boolean;
  stopped: PromiseWithResolvers<void>;
  left: PromiseWithResolvers<void>;
}

/**
 * The callers and followers of a namespace, in a process of their own. After a kill, others take their place in a new
 * process: what those before knew is lost, and their calls are without an answer.
 */
export class CrowdProcesses implements AsyncDisposable {
  readonly namespace: string;
  readonly #settings: Omit<CrowdProcessSettings, "name" | "history">;
  readonly #folder: string;
  readonly #log: (text: string) => void;
  readonly #lives: Life[] = [];
  /** Rejects if a process ends that was not killed. */
  readonly #failed = Promise.withResolvers<never>();
  #isStopping = false;

  /** @param folder for what the processes see */
  constructor(
    settings: Omit<CrowdProcessSettings, "name" | "history">,
    { folder, log }: { folder: string; log: (text: string) => void },
  ) {
    this.#failed.promise.catch(() => {}); // Thrown by `stopped` and `finish`.
    this.namespace = settings.namespace.name;
    this.#settings = settings;
    this.#folder = folder;
    this.#log = log;
    this.#start();
  }

  /** The process id of the present callers and followers. */
  get pid(): number {
    return this.#life.child.pid!;
  }

  /** Kills the process, and starts another, unless the callers are stopping. */
  async replace(): Promise<void> {
    const life = this.#life;
    life.wasKilled = true;
    const ended = once(life.child, "close");
    life.child.kill("SIGKILL");
    await ended;
    this.#start();
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#life.child.kill(name);
  }

  /** Lets the callers stop. Resolves when they have stopped; rejects if one of them throws. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#tell("stop");
    await Promise.race([this.#life.stopped.promise, this.#failed.promise]);
  }

  /** Rejects as soon as a caller or a follower throws. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** After the end of all tasks: resolves when the followers have left. */
  async finish(): Promise<void> {
    this.#tell("finish");
    await Promise.race([this.#life.left.promise, this.#failed.promise]);
  }

  /** Reads what all processes have seen so far. */
  async history(): Promise<HistoryLine[]> {
    const read = this.#lives.map(async ({ history, wasKilled }) => {
      const lines = await readHistory(history);
      return wasKilled ? [...lines, ...endsOfStreams(lines)] : lines;
    });
    return mergeHistories(await Promise.all(read));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this.#life;
    if (child.exitCode !== null || child.signalCode !== null) return;
    this.#life.wasKilled = true;
    const ended = once(child, "close");
    child.kill("SIGKILL");
    await ended;
  }

  get #life(): Life {
    return this.#lives.at(-1)!;
  }

  #tell(order: CrowdOrder): void {
    this.#life.child.send(order);
  }

  #start(): void {
    const name = `${this.namespace}.${this.#lives.length + 1}`;
    const history = join(this.#folder, `${name}.jsonl`);
    writeFileSync(history, ""); // The process may be killed before it has opened it.
    const child = fork(PROGRAM, [JSON.stringify({ ...this.#settings, name, history })], { silent: true });
    const [stopped, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const life: Life = { child, history, wasKilled: false, stopped, left };
    this.#lives.push(life);
    let printed = "";
    for (const output of [child.stdout!, child.stderr!]) {
      output.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
        this.#log(text);
      });
    }
    child.on("error", this.#failed.reject);
    child.on("message", (report: CrowdReport) => life[report].resolve());
    child.on("close", (code, signal) => {
      if (life.wasKilled || code === 0) return;
      this.#failed.reject(new Error(`the callers ${name} ended with ${code ?? signal}: ${printed}`));
    });
    if (this.#isStopping) this.#tell("stop");
  }
}
