import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import type { HistoryLine } from "../history.ts";
import { mergeHistories, namedTasks } from "../merge-histories.ts";
import type { Recorder } from "../recorder.ts";
import type { Target, TargetNamespace } from "../target/target.ts";
import { CrowdProcesses } from "./crowd-processes.ts";
import { settleTasks } from "./settle.ts";

/** Of a service with one namespace. */
const SOLE_FACTOR = 4;
const END_MS_MAX = 120_000;
const SETTLE_RETRY_MS = 60_000;

export interface WorkloadParts {
  target: Target;
  recorder: Recorder;
  seed: number;
  /** The label of the tasks of the run. */
  run: string;
  /** For what the processes see. */
  folder: string;
  log: (source: string, text: string) => void;
}

/** The callers and followers of a run: a process for each namespace. */
export class Workload implements AsyncDisposable {
  readonly #parts: WorkloadParts;
  readonly crowds: readonly CrowdProcesses[];

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
    const { target, recorder, seed, run, folder, log } = parts;
    const factor = target.namespaces.length === 1 ? SOLE_FACTOR : 1;
    const shared = { addresses: this.#addresses, factor, seed, run, originMs: recorder.originMs };
    this.crowds = target.namespaces.map(
      (namespace) =>
        new CrowdProcesses({ ...shared, namespace }, { folder, log: (text) => log(`callers-${namespace.name}`, text) }),
    );
  }

  /** Rejects as soon as a caller or a follower throws. */
  async failed(): Promise<never> {
    return Promise.race(this.crowds.map(({ failed }) => failed));
  }

  /** Lets all callers stop, each after its last call. */
  async stop(): Promise<void> {
    await Promise.all(this.crowds.map((crowd) => crowd.stop()));
  }

  /**
   * After all faults are healed: waits for the end of all tasks, and reads them. Then the followers leave.
   *
   * @returns what the callers and followers saw
   */
  async settle(notify: (progress: string) => void): Promise<HistoryLine[]> {
    const { recorder, target } = this.#parts;
    const named = await Promise.all(this.crowds.map(async (crowd) => namedTasks(await crowd.history())));
    const total = named.reduce((sum, { size }) => sum + size, 0);
    notify(`${total} tasks settle`);
    await Promise.all(
      target.namespaces.map(async (namespace, index) => {
        using client = this.#connect(namespace);
        await settleTasks(recorder, {
          namespace: namespace.name,
          taskIds: [...named[index]!],
          client,
          endMsMax: END_MS_MAX,
        });
      }),
    );
    await Promise.all(this.crowds.map((crowd) => crowd.finish()));
    return mergeHistories(await Promise.all(this.crowds.map((crowd) => crowd.history())));
  }

  get #addresses(): string[] {
    return [...this.#parts.target.links.values()].map(({ address }) => address);
  }

  #connect({ called: namespace }: TargetNamespace): SpoolClient & Disposable {
    return connect({ address: this.#addresses[0]!, namespace, retryMs: SETTLE_RETRY_MS });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.crowds.map((crowd) => crowd[Symbol.asyncDispose]()));
  }
}
