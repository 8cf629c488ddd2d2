import type { StartRequest } from "../../../src/client/client.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import type { PlannedStart } from "./planned-start.ts";
import { between, chance, choose } from "./choices.ts";

/** Of the tasks of a namespace, so many of the latest are called most often. */
const RECENT = 40;
const RECENT_SHARE = 0.8;

/** A start that was sent at least once. Each repetition has the same content. */
export interface SentStart {
  planned: PlannedStart;
  request: StartRequest & PlannedStart["request"];
  /** When the task may begin, and when it must have ended, in ms since the start of the run. */
  runAt?: number;
  deadlineAt?: number;
}

export interface KnownTask {
  taskId: string;
  kind: string;
  /** Whether some answer showed its end. */
  isEnded: boolean;
}

/** What the callers of a namespace share: the starts that they have sent, and the tasks that they know. */
export class Board {
  readonly namespace: string;
  readonly starts: SentStart[] = [];
  readonly #tasks = new Map<string, KnownTask>();
  readonly #latest: KnownTask[] = [];

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  add(taskId: string, kind: string): KnownTask {
    const known = this.#tasks.get(taskId);
    if (known !== undefined) return known;
    const task = { taskId, kind, isEnded: false };
    this.#tasks.set(taskId, task);
    this.#latest.push(task);
    return task;
  }

  ended(taskId: string): void {
    const task = this.#tasks.get(taskId);
    if (task !== undefined) task.isEnded = true;
  }

  /** Returns all tasks that are wanted. */
  all(wanted: (task: KnownTask) => boolean): KnownTask[] {
    return this.#latest.filter(wanted);
  }

  /** Picks a task, most often a recent one. undefined: there is none */
  pick(random: SeededRandom, wanted: (task: KnownTask) => boolean = () => true): KnownTask | undefined {
    const from = chance(random, RECENT_SHARE) ? this.#latest.slice(-RECENT) : this.#latest;
    const candidates = from.filter(wanted);
    return candidates.length === 0 ? undefined : choose(random, candidates);
  }

  /** Picks a start that was sent before. */
  pickStart(random: SeededRandom): SentStart | undefined {
    const { starts } = this;
    return starts[Math.floor(between(random, Math.max(0, starts.length - RECENT), starts.length))];
  }
}
