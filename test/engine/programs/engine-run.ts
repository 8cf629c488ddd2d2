import { randomUUID } from "node:crypto";
import { SpoolError } from "../../../src/domain/errors.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { FollowCursor } from "../../../src/domain/follow-cursor.ts";
import { TaskError } from "../../../src/domain/kind.ts";
import type { TaskStatus, TaskView } from "../../../src/domain/task.ts";
import type { Engine } from "../../../src/engine/engine.ts";
import { readForOpenStream } from "../../../src/engine/read/open-stream-read.ts";
import { untilStopped } from "../../support/engine-tasks.ts";
import { taskRequest } from "../../support/engines.ts";
import { followQuery } from "../../support/followed-tasks.ts";
import { isTerminal } from "./model.ts";
import type { Model, ModelTask } from "./model.ts";
import { eventsOf, nameOf, NO_TASK } from "./program.ts";
import type { Answer, Call, StartCall } from "./program.ts";
import type { ScriptedCode } from "./scripted-code.ts";

type Of<Name extends Call["call"]> = Extract<Call, { call: Name }>;

const NEVER = new AbortController().signal;
const FAR_MS = 60_000;
const HOUR_MS = 3_600_000;
/** The times of starts. They are the same for all starts of a process, because a retry repeats them. */
const PAST = new Date(Date.now() - HOUR_MS);
const FUTURE = new Date(Date.now() + 24 * HOUR_MS);

/** A program that runs on an engine, or on several servers of one namespace in turn. */
export class EngineRun {
  readonly #engines: readonly Engine[];
  readonly #code: ScriptedCode;
  readonly #id = randomUUID();
  readonly #taskIds: string[] = [];
  readonly #names = new Map<string, string>();
  readonly #missing = randomUUID();
  #calls = 0;
  #cursor: FollowCursor | null = null;

  constructor(engines: readonly Engine[], code: ScriptedCode) {
    this.#engines = engines;
    this.#code = code;
    this.#names.set(this.#missing, nameOf(NO_TASK));
  }

  /** Makes a call. @param model after the call: it says what the call has to wait for */
  async answer(call: Call, model: Model): Promise<Answer> {
    const engine = this.#engines[this.#calls++ % this.#engines.length]!;
    try {
      // A computer under load may refuse a call as overload. Then nothing has happened, and clients try again.
      return await readForOpenStream(() => this.#answer(engine, call, model));
    } catch (error) {
      if (!(error instanceof SpoolError)) throw error;
      return { error: error.reason, ...this.#named(error.metadata) };
    }
  }

  /** Waits until everything has happened that follows from a call and its answer. */
  async settle(call: Call, answer: Answer, model: Model): Promise<void> {
    const [engine] = this.#engines;
    if ((call.call === "end" && "ended" in answer) || (call.call === "fail" && "failed" in answer)) {
      const lastSeq = BigInt(model.find(call.task)!.events.length);
      const query = { taskId: this.#idOf(call.task), fromSeq: lastSeq, limit: 1, waitMs: FAR_MS };
      await readForOpenStream(() => engine!.readEvents(query, NEVER));
    }
    for (const { number, status, attempt, cancel } of model.tasks) {
      if (status !== "running") continue;
      const { task } = await this.#code.begun(this.#idOf(number), attempt);
      if (cancel !== null) await untilStopped(task.signal).catch(() => {});
    }
  }

  finish(): void {
    this.#code.finish(this.#id, this.#taskIds);
  }

  async #answer(engine: Engine, call: Call, model: Model): Promise<Answer> {
    switch (call.call) {
      case "start":
        return this.#start(engine, call);
      case "list":
        return this.#list(engine, call);
      case "follow tasks":
        return this.#followTasks(engine, call, model);
      case "emit":
      case "checkpoint":
      case "fail":
      case "end":
        return this.#act(call);
    }
    const taskId = this.#idOf(call.task);
    switch (call.call) {
      case "cancel": {
        const { outcome, task } = await engine.cancelTask(taskId, { reason: call.reason, by: call.by });
        return { outcome, task: this.#view(task) };
      }
      case "delete":
        return { ...(await engine.deleteTask(taskId, null)) };
      case "read":
        return this.#view(await engine.getTask(taskId));
      case "page": {
        const query = { taskId, fromSeq: BigInt(call.fromSeq), limit: call.limit, waitMs: 0 };
        const { status, events, nextFromSeq, lastSeq, hasMore } = await engine.readEvents(query, NEVER);
        const [next, last] = [Number(nextFromSeq), Number(lastSeq)];
        return { status, events: toEvents(events), nextFromSeq: next, lastSeq: last, hasMore };
      }
      case "follow":
        return this.#follow(engine, call, model.find(call.task));
      case "result": {
        const { status, startedAt, result, error } = await engine.waitForResult({ taskId, waitMs: 0 }, NEVER);
        return { status, startedAt: startedAt !== null, ...(result && { result }), ...(error && { error }) };
      }
    }
  }

  async #start(engine: Engine, start: StartCall): Promise<Answer> {
    const { kind, key, value, label, requestId, runAt, maxAttempts, backoff } = start;
    const { task, alreadyStarted } = await engine.startTask(
      taskRequest({
        kind,
        params: { program: this.#id, key: `${this.#id} ${key}`, value },
        labels: { program: this.#id, label },
        requestId: requestId && `${this.#id} ${requestId}`,
        runAt: runAt === "none" ? null : runAt === "past" ? PAST : FUTURE,
        maxAttempts,
        retryPolicy: { initialBackoffMs: backoff === "short" ? 1 : HOUR_MS, maxBackoffMs: HOUR_MS, jitter: 0 },
      }),
    );
    if (alreadyStarted) return { alreadyStarted, task: this.#view(task) };
    this.#names.set(task.taskId, nameOf(this.#taskIds.length));
    this.#taskIds.push(task.taskId);
    return { alreadyStarted, task: this.#content(task) };
  }

  /** Lets the code of a task do something. */
  async #act(call: Of<"emit"> | Of<"checkpoint"> | Of<"fail"> | Of<"end">): Promise<Answer> {
    const code = this.#code.find(this.#idOf(call.task));
    if (code === undefined) return { code: "does not run" };
    const { task, done } = code;
    switch (call.call) {
      case "emit":
        for (const { type, body } of eventsOf(call.events, call.value)) {
          const { phase, current, total, message, kind, payload } = body as Record<string, never>;
          if (type === "progress") await task.progress(phase!, current, total);
          else if (type === "log") await task.log("INFO", message!);
          else await task.partial(kind!, payload!);
        }
        await task.flush();
        return { emitted: call.events.length };
      case "checkpoint":
        return { checkpoint: await task.lastCheckpoint() };
      case "end":
        done.resolve({ value: call.value });
        return { ended: this.#names.get(task.taskId) };
      case "fail":
        done.reject(new TaskError(call.reason, "the code failed", { retryable: !call.isFinal }));
        return { failed: this.#names.get(task.taskId) };
    }
  }

  async #follow(engine: Engine, { fromSeq }: Of<"follow">, task: ModelTask | undefined): Promise<Answer> {
    const query = { taskId: task === undefined ? this.#missing : this.#idOf(task.number), fromSeq: BigInt(fromSeq) };
    const events: TapeEvent[] = [];
    // A stream of a task that has ended must end by itself. Any other stream is left at the last event.
    for await (const page of engine.followTape({ ...query, heartbeatMs: FAR_MS }, NEVER)) {
      events.push(...page.events);
      const isAtEnd = task !== undefined && fromSeq + events.length > task.events.length;
      if (task !== undefined && !isTerminal(task) && isAtEnd) return { events: toEvents(events), hasEnded: false };
    }
    return { events: toEvents(events), hasEnded: true };
  }

  async #list(engine: Engine, { limit, statuses, kinds, label }: Of<"list">): Promise<Answer> {
    const labels = { program: this.#id, ...(label !== null && { label }) };
    const pages: Answer[] = [];
    for (let beforeTaskId: string | null = null; ;) {
      const filter = { limit, beforeTaskId, statuses: statuses as TaskStatus[], kinds, labels };
      const { tasks, hasMore } = await engine.listTasks(filter);
      pages.push({ tasks: tasks.map((task) => this.#view(task)), hasMore });
      if (!hasMore) return { pages };
      beforeTaskId = tasks.at(-1)!.taskId;
    }
  }

  async #followTasks(engine: Engine, { from }: Of<"follow tasks">, model: Model): Promise<Answer> {
    const cursor = from === "cursor" ? this.#cursor : null;
    const query = followQuery({
      labels: { program: this.#id },
      heartbeatMs: FAR_MS,
      cursor,
      fromStart: from === "start",
    });
    if (from === "cursor" && cursor === null) query.fromStart = true;
    const tapes: Record<string, unknown[]> = {};
    let left = model.followed;
    const stopped = new AbortController();
    for await (const page of engine.followTasks(query, stopped.signal)) {
      this.#cursor = page.cursor;
      for (const { taskId, events } of page.tasks) {
        (tapes[this.#names.get(taskId) ?? taskId] ??= []).push(...toEvents(events));
        left -= events.length;
      }
      if (left <= 0) break;
    }
    stopped.abort();
    return { tapes };
  }

  #idOf(task: number): string {
    return this.#taskIds[task] ?? this.#missing;
  }

  #view(task: TaskView): Answer {
    const { status, runAt, attempt, startedAt, finishedAt, cancelRequestedAt, cancelledBy, lastSeq } = task;
    return {
      ...this.#content(task),
      status,
      runAt: timeOf(runAt),
      attempt,
      lastSeq: Number(lastSeq),
      startedAt: startedAt !== null,
      finishedAt: finishedAt !== null,
      cancelRequestedAt: cancelRequestedAt !== null,
      cancelledBy,
    };
  }

  #content({ taskId, kind, params, labels, requestId, maxAttempts, retryPolicy }: TaskView): Answer {
    const { program: ofParams, ...given } = params ?? {};
    const { program: ofLabels, ...others } = labels;
    if (ofLabels !== this.#id || (params !== null && ofParams !== this.#id)) return { task: "of another program" };
    return this.#named({
      task: taskId,
      kind,
      params: params === null ? null : given,
      labels: others,
      requestId,
      maxAttempts,
      initialBackoffMs: retryPolicy.initialBackoffMs,
    });
  }

  /** Replaces ids by names. */
  #named(value: object): Answer {
    let text = JSON.stringify(value).replaceAll(`${this.#id} `, "");
    for (const [taskId, name] of this.#names) text = text.replaceAll(taskId, name);
    const named = JSON.parse(text) as Record<string, unknown>;
    return "removed_at" in named ? { ...named, removed_at: "set" } : named;
  }
}

function timeOf(time: Date | null): string | null {
  if (time === null) return null;
  if (time.getTime() === PAST.getTime()) return "past";
  return time.getTime() === FUTURE.getTime() ? "future" : "retry";
}

function toEvents(events: readonly TapeEvent[]): Answer[] {
  return events.map(({ seq, type, body }) => {
    const parsed = JSON.parse(body) as Record<string, unknown>;
    return { seq: Number(seq), type, body: type === "retrying" ? { ...parsed, next_attempt_at: "set" } : parsed };
  });
}
