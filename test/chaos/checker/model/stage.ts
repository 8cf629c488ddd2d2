import type { HistoryLine, Refusal } from "../../history.ts";
import { SeededRandom } from "../../../fault/support/random.ts";
import { SpoolModel } from "./spool-model.ts";
import type { ModelTask } from "./spool-model.ts";

export const NAMESPACES = ["default", "team"] as const;
export const KINDS = ["steps", "series", "exclusive", "flaky"] as const;

/** Something that acts in small steps, between which others act. */
export interface Actor {
  act(): void;
}

/** The model, its clock, its choices, and the history that is written. */
export class Stage {
  readonly random: SeededRandom;
  readonly spool = new SpoolModel();
  readonly lines: HistoryLine[] = [];
  /** ms since the start of the run. */
  now = 1;
  /** Whether the run comes to its end: no new calls, streams and troubles. */
  isEnding = false;
  /** Effects of calls that their callers have given up. */
  readonly late: (() => void)[] = [];
  readonly #named = new Set<string>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  write(line: HistoryLine): void {
    this.lines.push(line);
    if ("taskId" in line && line.taskId !== undefined) this.#named.add(line.taskId);
  }

  pass(ms: number): void {
    this.now = Math.round(this.now + ms);
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  below(count: number): number {
    return Math.floor(this.random.next() * count);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  /** The tasks that some answer has named. */
  named(): ModelTask[] {
    return this.spool.tasks.filter(({ taskId }) => this.#named.has(taskId));
  }
}

export function refusal(code: string, reason: string | null, isLocal = false): Refusal {
  return { code, reason, message: reason ?? "connection lost", isLocal };
}

/** Returns an error of a call that may have had its effect, or may not. */
export function lostAnswer(stage: Stage): Refusal {
  return stage.pick([
    refusal("UNAVAILABLE", null, true),
    refusal("DEADLINE_EXCEEDED", null, true),
    refusal("UNAVAILABLE", "STORE_UNAVAILABLE"),
    refusal("DEADLINE_EXCEEDED", "CALL_DEADLINE_EXCEEDED"),
    refusal("UNAVAILABLE", "DRAINING"),
  ]);
}
