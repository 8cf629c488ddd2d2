import type { AttemptLine, SeriesPart } from "../../history.ts";
import { isEnded } from "./spool-model.ts";
import type { ModelTask } from "./spool-model.ts";
import type { Actor, Stage } from "./stage.ts";

/** A cancel is heeded within this time at the latest, unless a fault delays it. */
const HEEDED_WITHIN_MS = 8_000;

/** The code of one attempt. Code that has lost its task goes on for a while, and records nothing. */
interface Run {
  task: ModelTask;
  attempt: number;
  steps: number;
  step: number;
  state: "claimed" | "running" | "returned" | "threw" | "signalled";
}

/** A process that runs tasks and may be thought dead. */
export class Worker implements Actor {
  readonly #stage: Stage;
  readonly #name: string;
  readonly #pid: number;
  readonly #runs: Run[] = [];
  /** What the code has written to its file, and the harness has not read yet. */
  readonly #unread: AttemptLine[] = [];

  constructor(stage: Stage, name: string, pid: number) {
    this.#stage = stage;
    this.#name = name;
    this.#pid = pid;
  }

  act(): void {
    const stage = this.#stage;
    if (stage.chance(0.2)) this.readNotes();
    const waiting = stage.spool.tasks.filter(({ status }) => status === "pending");
    if (waiting.length > 0 && stage.chance(0.5)) {
      const task = stage.pick(waiting);
      if (stage.spool.claim(task)) {
        this.#runs.push({ task, attempt: task.attempt, steps: stage.below(6), step: 0, state: "claimed" });
      }
      return;
    }
    if (this.#runs.length > 0) this.#advance(stage.pick(this.#runs));
  }

  readNotes(): void {
    for (const line of this.#unread.splice(0)) this.#stage.write(line);
  }

  #advance(run: Run): void {
    const stage = this.#stage;
    const { task } = run;
    const isOwner = task.status === "running" && task.attempt === run.attempt;
    const isOverdue = task.cancelledAt !== null && stage.now - task.cancelledAt > HEEDED_WITHIN_MS;
    if (isOwner && (isOverdue || (!stage.isEnding && stage.chance(0.04)))) return this.#lose(run);
    switch (run.state) {
      case "claimed":
        run.state = "running";
        return this.#note(run, { what: "began" });
      case "running":
        return this.#runCode(run, isOwner);
      case "returned":
      case "threw":
      case "signalled":
        if (isOwner) this.#storeEnd(run);
        this.#runs.splice(this.#runs.indexOf(run), 1);
    }
  }

  /** The task is taken from the code, which may go on, or dies with its process. */
  #lose(run: Run): void {
    const { task } = run;
    const { spool, now } = this.#stage;
    if (task.cancelledAt !== null) spool.end(task, "cancelled", now);
    else if (task.attempt < 3) spool.retry(task);
    else spool.end(task, "failed", now);
    if (this.#stage.chance(0.3)) this.#runs.splice(this.#runs.indexOf(run), 1);
  }

  #runCode(run: Run, isOwner: boolean): void {
    const stage = this.#stage;
    const { task } = run;
    const mustStop = !isOwner || task.cancelledAt !== null;
    if (mustStop && stage.chance(0.4)) return this.#endCode(run, "signalled");
    if (run.step === run.steps) return this.#endCode(run, stage.chance(0.25) ? "threw" : "returned");
    run.step++;
    this.#note(run, { what: "step", step: run.step });
    if (isOwner) this.#emit(task, run.step);
  }

  #emit(task: ModelTask, step: number): void {
    const stage = this.#stage;
    if (task.kind !== "series") {
      const type = stage.pick(["progress", "log", "partial"] as const);
      // Some code says in its events which attempt emits them.
      stage.spool.append(task, { type, ...(type === "progress" && { attempt: task.attempt }) });
      return;
    }
    for (let count = 1 + stage.below(4); count > 0; count--) {
      const mode = stage.pick(["append", "append", "latest", "all"] as const);
      const value = `${step}.${count} `;
      const series: SeriesPart = {
        kind: "token",
        name: mode,
        mode,
        ...(mode === "append" ? { text: value } : { payload: value }),
      };
      stage.spool.append(task, { type: "partial", series });
    }
  }

  #endCode(run: Run, how: "returned" | "threw" | "signalled"): void {
    run.state = how;
    this.#note(run, { what: "ended", how });
  }

  #storeEnd({ task, state }: Run): void {
    const { spool, now } = this.#stage;
    if (isEnded(task)) return;
    if (state === "returned") spool.end(task, "succeeded", now);
    else if (task.cancelledAt !== null) spool.end(task, "cancelled", now);
    else if (task.attempt < 3) spool.retry(task);
    else spool.end(task, "failed", now);
  }

  #note({ task, attempt }: Run, what: Pick<AttemptLine, "what" | "step" | "how">): void {
    const { taskId, exclusiveKey } = task;
    const at = this.#stage.now;
    const process = { worker: this.#name, pid: this.#pid };
    this.#unread.push({ type: "attempt", at, taskId, attempt, ...process, exclusiveKey, ...what });
  }
}
