import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import type { Recorder } from "../recorder.ts";
import type { TargetNamespace } from "../target/target.ts";
import { Board } from "./board.ts";
import { runCaller } from "./caller.ts";
import { randomOf } from "./choices.ts";
import { RecordedCalls } from "./recorded-calls.ts";
import type { CallerParts } from "./recorded-calls.ts";
import { followTape } from "./tape-follower.ts";
import { TasksFollower } from "./tasks-follower.ts";

const CALLERS = 5;
const TAPE_FOLLOWERS_MAX = 10;
const HEARTBEAT_MS = 2_000;
const FOLLOWERS_END_MS_MAX = 30_000;
/** How long a stream over many tasks stays open without an event, so that a missing one can be told from a late one. */
const QUIET_MS = 16_000;
const QUIET_MS_MAX = 60_000;

/** What a process of callers and followers is told. Can be sent as JSON. */
export interface CrowdSettings {
  /** In the history, and of the plan: the names of all callers and followers begin with it. */
  name: string;
  namespace: TargetNamespace;
  /** The ways to the service. */
  addresses: readonly string[];
  /** How many times as many callers and followers as usual. */
  factor: number;
  seed: number;
  /** The label of the tasks of the run. */
  run: string;
}

/** The callers and followers of one namespace. Disposing closes their connections. */
export class Crowd implements Disposable {
  readonly #settings: CrowdSettings;
  readonly #recorder: Recorder;
  readonly #board: Board;
  readonly #clients: readonly SpoolClient[];
  readonly #followed: readonly SpoolClient[];
  readonly #callers: readonly Promise<void>[];
  readonly #many: TasksFollower;
  readonly #tapes = new Set<Promise<void>>();
  readonly #over = new AbortController();
  readonly #leaving = new AbortController();
  /** Rejects with the first error of a follower of a tape that is none of a call. */
  readonly #failed = Promise.withResolvers<never>();
  #tapeFollowers = 0;

  constructor(settings: CrowdSettings, recorder: Recorder) {
    this.#failed.promise.catch(() => {}); // Thrown by `stopped` and `finish`.
    this.#settings = settings;
    this.#recorder = recorder;
    const { name, namespace, factor, seed, run } = settings;
    this.#board = new Board(namespace.name);
    this.#clients = this.#connect();
    this.#followed = this.#connect();
    const { kinds } = namespace;
    this.#callers = Array.from({ length: CALLERS * factor }, (_, index) =>
      runCaller(
        this.#partsOf(`caller-${index}`),
        { kinds, follow: (taskId) => this.#follow(taskId) },
        this.#over.signal,
      ),
    );
    const follower = `${name}-many`;
    const random = randomOf(seed, follower);
    this.#many = new TasksFollower({
      name: follower,
      namespace: namespace.name,
      clients: this.#followed,
      recorder,
      random,
      run,
    });
  }

  /** Lets the callers stop, each after its last call. */
  stop(): void {
    this.#over.abort();
  }

  /** Resolves when all callers have stopped. Rejects as soon as one of them, or a follower, throws. */
  async stopped(): Promise<void> {
    await Promise.race([Promise.all(this.#callers), this.#failed.promise]);
  }

  /** After the end of all tasks: lets the followers read on for a while, and leave. */
  async finish(): Promise<void> {
    const timer = setTimeout(() => this.#leaving.abort(), FOLLOWERS_END_MS_MAX);
    await Promise.all([
      Promise.all(this.#tapes).finally(() => clearTimeout(timer)), // Throws what a follower has thrown.
      this.#many.finish({ quietMs: QUIET_MS, timeoutMs: QUIET_MS_MAX }),
      this.#readFolded(),
    ]);
  }

  /** Reads some whole tapes in the folded view. */
  async #readFolded(): Promise<void> {
    const calls = new RecordedCalls(this.#partsOf("reader"));
    for (const { taskId } of this.#board.all(({ kind }) => kind.endsWith(".text"))) {
      await calls.page(taskId, { fromSeq: 1, view: "folded", limit: 1_000, waitMs: 0 });
    }
  }

  /** Follows the tape of a task, if there is room for another follower. */
  #follow(taskId: string): void {
    const { name, namespace, factor, seed } = this.#settings;
    if (this.#tapes.size >= TAPE_FOLLOWERS_MAX * factor) return;
    const follower = `${name}-tape-${++this.#tapeFollowers}`;
    const parts = { name: follower, namespace: namespace.name, taskId, clients: this.#followed };
    const random = randomOf(seed, follower);
    const following = followTape({ ...parts, recorder: this.#recorder, random, signal: this.#leaving.signal });
    this.#tapes.add(following);
    following.then(() => this.#tapes.delete(following)).catch(this.#failed.reject);
  }

  #partsOf(caller: string): CallerParts {
    const { seed, run } = this.#settings;
    const name = `${this.#settings.name}-${caller}`;
    const shared = { board: this.#board, clients: this.#clients, recorder: this.#recorder };
    return { ...shared, name, random: randomOf(seed, name), run, signal: this.#leaving.signal };
  }

  /** Returns a client for each way to the service. They do not retry. */
  #connect(): SpoolClient[] {
    const { addresses, namespace } = this.#settings;
    const options = { namespace: namespace.called, retryMs: 0, heartbeatMs: HEARTBEAT_MS };
    return addresses.map((address) => connect({ ...options, address }));
  }

  [Symbol.dispose](): void {
    for (const client of [...this.#clients, ...this.#followed]) client.close();
  }
}
