import { setTimeout } from "node:timers/promises";
import type { SpoolClient, TasksFrame } from "../../../src/client/client.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import { eventually } from "../../support/eventually.ts";
import type { Recorder } from "../recorder.ts";
import { between, chance, choose } from "./choices.ts";
import { RUN_LABEL } from "./planned-start.ts";
import { refusalOf, seenEvent } from "./seen-event.ts";

const LEAVE_SHARE = 0.004;
const AWAY_MS_MAX = 1_500;
const RETRY_MS = 200;
/** How often a follower comes back with an older cursor, and how many frames older at most. */
const OLDER_SHARE = 0.15;
const OLDER_FRAMES_MAX = 15;

export interface TasksFollowerParts {
  name: string;
  namespace: string;
  clients: readonly SpoolClient[];
  recorder: Recorder;
  random: SeededRandom;
  /** The label of the run. */
  run: string;
}

/** A cursor, with its label in the history. null: before the first event. */
interface Mark {
  cursor: string;
  label: string | null;
}

/** Follows all tasks of a namespace. Leaves now and then, and comes back over any way, sometimes with an older cursor. */
export class TasksFollower {
  readonly #parts: TasksFollowerParts;
  readonly #over = new AbortController();
  /** The cursors of the last frames, the newest last. */
  #marks: Mark[] = [];
  #frames = 0;
  #mayLeave = true;
  /** When the stream was opened, or delivered its last event. */
  #activeAt = 0;
  readonly #running: Promise<void>;

  constructor(parts: TasksFollowerParts) {
    this.#parts = parts;
    this.#running = this.#run();
    this.#running.catch(() => {}); // Thrown by `finish`.
  }

  /** Reads on until the stream has been quiet for so long, within a time, and leaves. */
  async finish({ quietMs, timeoutMs }: { quietMs: number; timeoutMs: number }): Promise<void> {
    this.#mayLeave = false;
    const check = () => {
      if (this.#parts.recorder.now() - this.#activeAt < quietMs) throw new Error("the stream is not quiet");
    };
    // A stream that never becomes quiet is for the checker to judge.
    await Promise.race([eventually(check, { timeoutMs }).catch(() => {}), this.#running]);
    this.#over.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { name: follower, namespace, recorder, random } = this.#parts;
    const { signal } = this.#over;
    while (!signal.aborted) {
      const leaving = new AbortController();
      const ended = { type: "tasks_ended", follower, namespace } as const;
      try {
        await this.#readStream(leaving);
      } catch (error) {
        if (leaving.signal.aborted || signal.aborted) {
          recorder.write({ ...ended, reason: "left" });
          if (!signal.aborted) await setTimeout(between(random, 0, AWAY_MS_MAX));
          continue;
        }
        const refusal = refusalOf(error);
        recorder.write({ ...ended, reason: "failed", error: refusal });
        // A cursor of before the move of the namespace is refused after the old rows are gone: begin again.
        if (refusal.code === "INVALID_ARGUMENT") this.#marks = [];
        await setTimeout(RETRY_MS);
      }
    }
  }

  async #readStream(leaving: AbortController): Promise<void> {
    const { name: follower, namespace, clients, recorder, random, run } = this.#parts;
    const { cursor, label } = this.#pickMark() ?? { cursor: undefined, label: null };
    recorder.write({ type: "tasks_opened", follower, namespace, cursor: label, fromStart: label === null, kinds: [] });
    this.#activeAt = recorder.now();
    let mark: Mark["label"] = label;
    const query = { labels: { [RUN_LABEL]: run }, cursor, fromStart: cursor === undefined };
    const options = { signal: AbortSignal.any([this.#over.signal, leaving.signal]) };
    for await (const frame of choose(random, clients).followTasks(query, options)) {
      const hasNews = frame.tasks.some(({ events }) => events.length > 0);
      if (hasNews) {
        mark = `${follower} frame ${++this.#frames}`;
        this.#record(frame, mark);
        this.#activeAt = recorder.now();
      }
      this.#marks = [...this.#marks.slice(1 - OLDER_FRAMES_MAX), { cursor: frame.cursor, label: mark }];
      if (hasNews && this.#mayLeave && chance(random, LEAVE_SHARE)) leaving.abort();
    }
  }

  #record({ tasks }: TasksFrame, cursor: string): void {
    const { name: follower, namespace, recorder } = this.#parts;
    for (const { taskId, events } of tasks) {
      for (const event of events) {
        const { type: eventType, ...seen } = seenEvent(event);
        recorder.write({ type: "news", follower, namespace, taskId, cursor, eventType, ...seen });
      }
    }
  }

  #pickMark(): Mark | undefined {
    const { random } = this.#parts;
    const isOlder = this.#marks.length > 0 && this.#mayLeave && chance(random, OLDER_SHARE);
    if (isOlder) this.#marks = this.#marks.slice(0, 1 + Math.floor(between(random, 0, this.#marks.length)));
    return this.#marks.at(-1);
  }
}
