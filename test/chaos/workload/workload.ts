import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import type { Recorder } from "../recorder.ts";
import type { Target, TargetNamespace } from "../target/target.ts";
import { Board } from "./board.ts";
import { runCaller } from "./caller.ts";
import { randomOf } from "./choices.ts";
import { RecordedCalls } from "./recorded-calls.ts";
import type { CallerParts } from "./recorded-calls.ts";
import { settleTasks } from "./settle.ts";
import { followTape } from "./tape-follower.ts";
import { TasksFollower } from "./tasks-follower.ts";

const CALLERS = 5;
const TAPE_FOLLOWERS_MAX = 10;
/** Of a service with one namespace. */
const SOLE_FACTOR = 4;
const HEARTBEAT_MS = 2_000;
const END_MS_MAX = 120_000;
const SETTLE_RETRY_MS = 60_000;
const FOLLOWERS_END_MS_MAX = 30_000;
/** How long a stream over many tasks stays open without an event, so that a missing one can be told from a late one. */
const QUIET_MS = 16_000;
const QUIET_MS_MAX = 60_000;

export interface WorkloadParts {
  target: Target;
  recorder: Recorder;
  seed: number;
  /** The label of the tasks of the run. */
  run: string;
}

/** The callers and followers of one namespace. */
interface Crowd {
  board: Board;
  clients: readonly SpoolClient[];
  callers: Promise<void>[];
  tapes: Set<Promise<void>>;
  follower: TasksFollower;
}

/** The callers and followers of a run. Disposing closes their connections. */
export class Workload implements Disposable {
  readonly #parts: WorkloadParts;
  readonly #crowds: Crowd[];
  readonly #leaving = new AbortController();
  readonly #all: SpoolClient[] = [];
  /** Rejects with the first error of a follower of a tape that is none of a call. */
  readonly #failed = Promise.withResolvers<never>();
  #tapeFollowers = 0;

  /** @param over fires when no further calls are to be made */
  constructor(parts: WorkloadParts, over: AbortSignal) {
    this.#failed.promise.catch(() => {}); // Thrown by `stopped`.
    this.#parts = parts;
    this.#crowds = parts.target.namespaces.map((namespace) => this.#gather(namespace, over));
  }

  /** Resolves when all callers have stopped, each after its last call. */
  async stopped(): Promise<void> {
    await Promise.race([Promise.all(this.#crowds.flatMap(({ callers }) => callers)), this.#failed.promise]);
  }

  /** After all faults are healed: waits for the end of all tasks, and reads them. Then the followers leave. */
  async settle(): Promise<void> {
    const { recorder } = this.#parts;
    const clients = new Map<string, SpoolClient>();
    for (const namespace of this.#parts.target.namespaces) {
      clients.set(namespace.name, this.#connect(namespace, { retryMs: SETTLE_RETRY_MS })[0]!);
    }
    await settleTasks(recorder, { clientOf: (namespace) => clients.get(namespace)!, endMsMax: END_MS_MAX });
    const tapes = this.#crowds.flatMap((crowd) => [...crowd.tapes]);
    const timer = setTimeout(() => this.#leaving.abort(), FOLLOWERS_END_MS_MAX);
    await Promise.all([
      Promise.all(tapes).finally(() => clearTimeout(timer)), // Throws what a follower has thrown.
      ...this.#crowds.map(({ follower }) => follower.finish({ quietMs: QUIET_MS, timeoutMs: QUIET_MS_MAX })),
      this.#readFolded(),
    ]);
  }

  /** Reads some whole tapes in the folded view. */
  async #readFolded(): Promise<void> {
    for (const { board, clients } of this.#crowds) {
      const calls = new RecordedCalls(this.#partsOf("reader", board, clients));
      for (const { taskId } of board.all(({ kind }) => kind.endsWith(".text"))) {
        await calls.page(taskId, { fromSeq: 1, view: "folded", limit: 1_000, waitMs: 0 });
      }
    }
  }

  #gather(namespace: TargetNamespace, over: AbortSignal): Crowd {
    const { target, recorder, seed, run } = this.#parts;
    const factor = target.namespaces.length === 1 ? SOLE_FACTOR : 1;
    const { name } = namespace;
    const board = new Board(name);
    const clients = this.#connect(namespace, { retryMs: 0 });
    const followed = this.#connect(namespace, { retryMs: 0 });
    const tapes = new Set<Promise<void>>();
    const follow = (taskId: string) => {
      if (tapes.size >= TAPE_FOLLOWERS_MAX * factor) return;
      const follower = `${name}-tape-${++this.#tapeFollowers}`;
      const parts = { name: follower, namespace: name, taskId, clients: followed, recorder };
      const following = followTape({ ...parts, random: randomOf(seed, follower), signal: this.#leaving.signal });
      tapes.add(following);
      following.then(() => tapes.delete(following)).catch(this.#failed.reject);
    };
    const callers = Array.from({ length: CALLERS * factor }, (_, index) =>
      runCaller(this.#partsOf(`caller-${index}`, board, clients), { kinds: namespace.kinds, follow }, over),
    );
    const follower = `${name}-many`;
    const many = {
      name: follower,
      namespace: name,
      clients: followed,
      recorder,
      random: randomOf(seed, follower),
      run,
    };
    return { board, clients, callers, tapes, follower: new TasksFollower(many) };
  }

  #partsOf(caller: string, board: Board, clients: readonly SpoolClient[]): CallerParts {
    const { recorder, seed, run } = this.#parts;
    const name = `${board.namespace}-${caller}`;
    return { name, board, clients, recorder, random: randomOf(seed, name), run, signal: this.#leaving.signal };
  }

  #connect({ called: namespace }: TargetNamespace, { retryMs }: { retryMs: number }): SpoolClient[] {
    const options = { namespace, retryMs, heartbeatMs: HEARTBEAT_MS };
    const clients = [...this.#parts.target.links.values()].map(({ address }) => connect({ ...options, address }));
    this.#all.push(...clients);
    return clients;
  }

  [Symbol.dispose](): void {
    for (const client of this.#all) client.close();
  }
}
