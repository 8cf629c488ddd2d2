import type { SeenEvent, View } from "../../history.ts";
import { isEnded } from "./spool-model.ts";
import type { ModelTask } from "./spool-model.ts";
import { lostAnswer, refusal } from "./stage.ts";
import type { Actor, Stage } from "./stage.ts";
import { foldedView } from "./views.ts";

interface OpenStream {
  task: ModelTask;
  view: View;
  /** The next seq that the server reads. */
  readSeq: number;
  /** Events that the server has read and the follower has not received. */
  frame: SeenEvent[];
  isFinished: boolean;
}

/** A follower of one tape after the other, over streams that break. */
export class TapeFollower implements Actor {
  readonly #stage: Stage;
  readonly #name: string;
  #stream: OpenStream | null = null;
  #task: ModelTask | null = null;
  /** The next seq that the follower wants. */
  #nextSeq = 1;

  constructor(stage: Stage, name: string) {
    this.#stage = stage;
    this.#name = name;
  }

  get isOpen(): boolean {
    return this.#stream !== null;
  }

  act(): void {
    if (this.#stream === null) this.#open();
    else this.#follow(this.#stream);
  }

  /** Leaves the stream, if one is open. */
  leave(): void {
    if (this.#stream !== null) this.#end({ reason: "left" });
  }

  #open(): void {
    const stage = this.#stage;
    if (this.#task === null) {
      const tasks = stage.named();
      if (stage.isEnding || tasks.length === 0) return;
      this.#task = stage.pick(tasks);
      this.#nextSeq = stage.chance(0.8) ? stage.below(2) : stage.below(8);
    }
    const task = this.#task;
    const view = stage.chance(0.3) ? "folded" : "recorded";
    const { taskId, namespace } = task;
    const fromSeq = this.#nextSeq;
    stage.write({ type: "opened", at: stage.now, follower: this.#name, namespace, taskId, fromSeq, view });
    this.#stream = { task, view, readSeq: Math.max(1, fromSeq), frame: [], isFinished: false };
  }

  #follow(stream: OpenStream): void {
    const stage = this.#stage;
    const { task, frame } = stream;
    if (!stage.isEnding && stage.chance(0.06)) {
      return this.#end(stage.chance(0.3) ? { reason: "left" } : { reason: "failed", error: lostAnswer(stage) });
    }
    if (frame.length > 0) {
      const { type, ...event } = frame.shift()!;
      const fields = { ...event, eventType: type };
      stage.write({ type: "event", at: stage.now, follower: this.#name, taskId: task.taskId, ...fields });
      this.#nextSeq = (event.coversTo ?? event.seq) + 1;
      return;
    }
    if (stream.isFinished) {
      this.#end({ reason: "final" });
      this.#task = null;
      return;
    }
    if (task.isRemoved) return this.#refuse(refusal("NOT_FOUND", "TASK_EXPIRED"));
    if (stream.readSeq > task.tape.length + 1 && !isEnded(task)) {
      return this.#refuse(refusal("OUT_OF_RANGE", "SEQ_OUT_OF_RANGE"));
    }
    const rest = task.tape.slice(stream.readSeq - 1, stream.readSeq - 1 + 1 + stage.below(6));
    frame.push(...(stream.view === "folded" ? foldedView(rest, stage.random) : rest));
    stream.readSeq += rest.length;
    stream.isFinished = isEnded(task) && stream.readSeq > task.tape.length;
  }

  #refuse(error: ReturnType<typeof refusal>): void {
    this.#end({ reason: "failed", error });
    this.#task = null;
  }

  #end(end: { reason: "final" | "left" } | { reason: "failed"; error: ReturnType<typeof refusal> }): void {
    const { now } = this.#stage;
    const { taskId } = this.#stream!.task;
    this.#stage.write({ type: "ended", at: now, follower: this.#name, taskId, ...end });
    this.#stream = null;
  }
}
