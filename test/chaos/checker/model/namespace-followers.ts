import type { SeenEvent } from "../../history.ts";
import type { ModelTask } from "./spool-model.ts";
import { KINDS, lostAnswer, NAMESPACES } from "./stage.ts";
import type { Actor, Stage } from "./stage.ts";

/** By task: how many of its events were delivered. Without `isFromStart`, tasks are here that had events before. */
type Position = Map<ModelTask, number>;

interface Frame {
  label: string;
  events: { task: ModelTask; event: SeenEvent }[];
  position: Position;
}

/** A follower of all tasks of a namespace, over streams that break, with cursors that it may use again. */
export class NamespaceFollower implements Actor {
  readonly #stage: Stage;
  readonly #name: string;
  readonly #namespace: string;
  readonly #kinds: string[];
  readonly #fromStart: boolean;
  /** What the stream has read; null: no stream is open. */
  #position: Position | null = null;
  #isFirstFrame = false;
  readonly #frames: Frame[] = [];
  /** The cursors that the follower has received, in order. */
  readonly #cursors: { label: string; position: Position }[] = [];

  constructor(stage: Stage, name: string) {
    this.#stage = stage;
    this.#name = name;
    this.#namespace = stage.pick(NAMESPACES);
    this.#kinds = stage.chance(0.7) ? [] : [stage.pick(KINDS)];
    this.#fromStart = stage.chance(0.7);
  }

  act(): void {
    const stage = this.#stage;
    if (this.#position === null) {
      if (!stage.isEnding || stage.chance(0.5)) this.#open();
      return;
    }
    if (!stage.isEnding && stage.chance(0.08)) {
      return this.#end(stage.chance(0.3) ? { reason: "left" } : { reason: "failed", error: lostAnswer(stage) });
    }
    const frame = this.#frames.shift();
    if (frame !== undefined) this.#receive(frame);
    else this.#readRound(this.#position);
  }

  leave(): void {
    if (this.#position !== null) this.#end({ reason: "left" });
  }

  #open(): void {
    const stage = this.#stage;
    // Another process may go on from an earlier cursor.
    const cursor = stage.chance(0.8) ? this.#cursors.at(-1) : stage.pick([null, ...this.#cursors]);
    this.#position = new Map(cursor?.position);
    this.#isFirstFrame = cursor == null && !this.#fromStart;
    stage.write({
      type: "tasks_opened",
      at: stage.now,
      follower: this.#name,
      namespace: this.#namespace,
      cursor: cursor?.label ?? null,
      fromStart: this.#fromStart,
      kinds: this.#kinds,
    });
  }

  /** Reads one snapshot, and makes frames of it: task by task, in any order. */
  #readRound(position: Position): void {
    const stage = this.#stage;
    const tasks = stage.spool.tasks
      .filter((task) => task.namespace === this.#namespace && !task.isRemoved)
      .filter(({ kind }) => this.#kinds.length === 0 || this.#kinds.includes(kind));
    if (this.#isFirstFrame) {
      for (const task of tasks) position.set(task, task.tape.length);
      this.#isFirstFrame = false;
      return;
    }
    const changed = tasks.flatMap((task) => {
      const events = task.tape.slice(position.get(task) ?? 0);
      return events.length === 0 ? [] : [{ task, events }];
    });
    let news: Frame["events"] = [];
    for (const { task, events } of stage.random.shuffle(changed)) {
      news.push(...events.map((event) => ({ task, event })));
      position.set(task, (position.get(task) ?? 0) + events.length);
      if (stage.chance(0.6)) continue;
      this.#addFrame(news, position);
      news = [];
    }
    if (news.length > 0) this.#addFrame(news, position);
  }

  #addFrame(events: Frame["events"], position: Position): void {
    const label = `${this.#name}-${this.#stage.below(1e9).toString(36)}`;
    this.#frames.push({ label, events, position: new Map(position) });
  }

  #receive({ label, events, position }: Frame): void {
    const { now } = this.#stage;
    for (const { task, event } of events) {
      const { type, ...fields } = event;
      const { taskId, namespace } = task;
      const from = { follower: this.#name, namespace, taskId, cursor: label };
      this.#stage.write({ type: "news", at: now, ...from, ...fields, eventType: type });
    }
    this.#cursors.push({ label, position });
  }

  #end(end: { reason: "left" } | { reason: "failed"; error: ReturnType<typeof lostAnswer> }): void {
    const { now } = this.#stage;
    this.#stage.write({ type: "tasks_ended", at: now, follower: this.#name, namespace: this.#namespace, ...end });
    this.#position = null;
    this.#frames.length = 0;
  }
}
