import { eventsOf, nameOf, NO_TASK } from "./program.ts";
import type { Answer, Call, Program, StartCall } from "./program.ts";

type Of<Name extends Call["call"]> = Extract<Call, { call: Name }>;

/** A task as docs/guarantees.md and docs/lifecycle.md describe it. */
export interface ModelTask {
  number: number;
  start: StartCall;
  status: "pending" | "running" | "succeeded" | "failed" | "cancelled";
  /** What the task waits for. */
  runAt: "past" | "future" | "retry" | null;
  attempt: number;
  hasStarted: boolean;
  /** The cancel that the running code was asked to heed. */
  cancel: { reason: string } | null;
  cancelledBy: string | null;
  events: { type: string; body: object }[];
  /** The checkpoint of earlier attempts, and that of the current one. */
  checkpoint: object | null;
  ownCheckpoint: object | null;
  isRemoved: boolean;
}

const BACKOFF_MS = { short: 1, long: 3_600_000 };

/** The service without time and concurrency: each call happens at once, with everything that follows from it. */
export class Model {
  readonly tasks: ModelTask[] = [];
  /** How far the stream over many tasks has come: the last seq of each task, by its number. */
  #cursor: Map<number, number> | null = null;
  /** How many events the last stream over many tasks has. */
  followed = 0;

  run(program: Program): Answer[] {
    return program.map((call) => this.answer(call));
  }

  answer(call: Call): Answer {
    const answer = this.#answer(call);
    this.#runDueTasks();
    return answer;
  }

  /** Returns the task of a call; undefined if it does not exist. */
  find(number: number): ModelTask | undefined {
    return this.tasks[number];
  }

  #answer(call: Call): Answer {
    if (call.call === "start") return this.#start(call);
    if (call.call === "list") return this.#list(call);
    if (call.call === "follow tasks") return this.#followTasks(call);
    const task = this.find(call.task);
    if (call.call === "emit" || call.call === "checkpoint" || call.call === "fail" || call.call === "end") {
      return task?.status === "running" ? this.#act(task, call) : { code: "does not run" };
    }
    if (task === undefined) return { error: "TASK_NOT_FOUND", task_id: nameOf(NO_TASK) };
    if (call.call === "delete") return this.#delete(task);
    if (task.isRemoved) return { error: "TASK_EXPIRED", task_id: nameOf(task.number), removed_at: "set" };
    switch (call.call) {
      case "cancel":
        return this.#cancel(task, call);
      case "read":
        return viewOf(task);
      case "page":
        return pageOf(task, call);
      case "follow":
        return this.#follow(task, call);
      case "result":
        return resultOf(task);
    }
  }

  #start(start: StartCall): Answer {
    const { requestId, runAt } = start;
    const earlier = this.tasks.find(
      (task) => requestId !== null && task.start.requestId === requestId && !task.isRemoved,
    );
    if (earlier !== undefined) {
      const differs = differences(earlier.start, start);
      if (differs === "") return { alreadyStarted: true, task: viewOf(earlier) };
      return { error: "REQUEST_ID_REUSED", request_id: requestId, task_id: nameOf(earlier.number), differs };
    }
    const task: ModelTask = {
      number: this.tasks.length,
      start,
      status: "pending",
      runAt: runAt === "none" ? null : runAt,
      attempt: 0,
      hasStarted: false,
      cancel: null,
      cancelledBy: null,
      events: [],
      checkpoint: null,
      ownCheckpoint: null,
      isRemoved: false,
    };
    this.tasks.push(task);
    // Whether the task runs already when the call is answered is not promised.
    return { alreadyStarted: false, task: contentOf(task) };
  }

  #act(task: ModelTask, call: Of<"emit"> | Of<"checkpoint"> | Of<"fail"> | Of<"end">): Answer {
    switch (call.call) {
      case "emit":
        for (const event of eventsOf(call.events, call.value)) {
          task.events.push(event);
          if ("kind" in event.body && event.body.kind === "checkpoint") {
            task.ownCheckpoint = (event.body as unknown as { payload: object }).payload;
          }
        }
        return { emitted: call.events.length };
      case "checkpoint":
        return { checkpoint: task.checkpoint };
      case "end":
        finish(task, "succeeded", { result: { value: call.value } });
        return { ended: nameOf(task.number) };
      case "fail":
        this.#fail(task, call);
        return { failed: nameOf(task.number) };
    }
  }

  #fail(task: ModelTask, { reason, isFinal }: Of<"fail">): void {
    const error = { reason, message: "the code failed" };
    if (task.cancel !== null) finishCancelled(task, task.cancel.reason);
    else if (isFinal || task.attempt >= (task.start.maxAttempts ?? 1)) finish(task, "failed", { error });
    else {
      task.status = "pending";
      task.runAt = "retry";
      task.checkpoint = task.ownCheckpoint ?? task.checkpoint;
      task.ownCheckpoint = null;
      task.events.push({ type: "retrying", body: { error, next_attempt_at: "set" } });
    }
  }

  #cancel(task: ModelTask, { reason, by }: Of<"cancel">): Answer {
    if (task.status === "pending") {
      task.cancelledBy = by;
      finishCancelled(task, reason);
      return { outcome: "cancelled", task: viewOf(task) };
    }
    if (task.status !== "running") return { outcome: "already_terminal", task: viewOf(task) };
    if (task.cancel === null) {
      task.cancel = { reason };
      task.cancelledBy = by;
      task.events.push({ type: "cancel_requested", body: { reason, ...(by !== null && { cancelled_by: by }) } });
    }
    return { outcome: "requested", task: viewOf(task) };
  }

  #delete(task: ModelTask): Answer {
    if (task.isRemoved) return { alreadyDeleted: true };
    if (!isTerminal(task)) {
      return { error: "TASK_NOT_TERMINAL", task_id: nameOf(task.number), current_status: task.status };
    }
    task.isRemoved = true;
    return { alreadyDeleted: false };
  }

  #follow(task: ModelTask, { fromSeq }: Of<"follow">): Answer {
    const { number, events } = task;
    if (!isTerminal(task) && fromSeq > events.length + 1) {
      const last_seq = `${events.length}`;
      return { error: "SEQ_OUT_OF_RANGE", task_id: nameOf(number), from_seq: `${fromSeq}`, last_seq };
    }
    return { events: numbered(task, fromSeq), hasEnded: isTerminal(task) };
  }

  #list({ limit, statuses, kinds, label }: Of<"list">): Answer {
    const found = this.tasks
      .filter(({ isRemoved }) => !isRemoved)
      .filter(({ status }) => statuses.length === 0 || statuses.includes(status))
      .filter(({ start }) => kinds.length === 0 || kinds.includes(start.kind))
      .filter(({ start }) => label === null || start.label === label)
      .toReversed()
      .map((task) => ({ ...viewOf(task), params: null }));
    const pages: Answer[] = [];
    for (let from = 0; from === 0 || from < found.length; from += limit) {
      pages.push({ tasks: found.slice(from, from + limit), hasMore: from + limit < found.length });
    }
    return { pages };
  }

  #followTasks({ from }: Of<"follow tasks">): Answer {
    const lastSeqs = new Map(this.tasks.map(({ number, events }) => [number, events.length]));
    const seen = from === "now" ? lastSeqs : from === "start" ? new Map<number, number>() : (this.#cursor ?? new Map());
    this.#cursor = lastSeqs;
    const tapes: Record<string, unknown> = {};
    this.followed = 0;
    for (const task of this.tasks) {
      const events = numbered(task, (seen.get(task.number) ?? 0) + 1);
      if (task.isRemoved || events.length === 0) continue;
      tapes[nameOf(task.number)] = events;
      this.followed += events.length;
    }
    return { tapes };
  }

  /** Runs each task that is due, and for each exclusive key the oldest of them. */
  #runDueTasks(): void {
    const isDue = (task: ModelTask) =>
      task.status === "pending" &&
      task.runAt !== "future" &&
      (task.runAt !== "retry" || BACKOFF_MS[task.start.backoff] < 1_000);
    for (const task of this.tasks.filter(isDue)) if (task.start.kind === "plain") this.#runTask(task);
    for (const key of ["k0", "k1"]) {
      const ofKey = this.tasks.filter(({ start }) => start.kind === "exclusive" && start.key === key);
      if (ofKey.some(({ status }) => status === "running")) continue;
      const next = ofKey.find(isDue);
      if (next !== undefined) this.#runTask(next);
    }
  }

  #runTask(task: ModelTask): void {
    task.status = "running";
    task.attempt++;
    task.hasStarted = true;
    task.events.push({ type: "started", body: { kind: task.start.kind, attempt: task.attempt } });
  }
}

export function isTerminal({ status }: Pick<ModelTask, "status">): boolean {
  return status !== "pending" && status !== "running";
}

function finish(task: ModelTask, status: ModelTask["status"], outcome: object): void {
  task.status = status;
  task.events.push({ type: "final", body: { status, ...outcome } });
}

function finishCancelled(task: ModelTask, reason: string): void {
  finish(task, "cancelled", { error: { reason: "CANCELLED", message: reason || "the task was cancelled" } });
}

function numbered({ events }: ModelTask, fromSeq: number, limit = Infinity): Answer[] {
  return events
    .map(({ type, body }, index) => ({ seq: index + 1, type, body }))
    .slice(fromSeq - 1, fromSeq - 1 + limit);
}

function contentOf({ number, start }: ModelTask): Answer {
  const { kind, key, value, label, requestId, maxAttempts, backoff } = start;
  return {
    task: nameOf(number),
    kind,
    params: { key, value },
    labels: { label },
    requestId,
    maxAttempts: maxAttempts ?? 1,
    initialBackoffMs: BACKOFF_MS[backoff],
  };
}

function viewOf(task: ModelTask): Answer {
  const { status, runAt, attempt, hasStarted, cancel, cancelledBy, events } = task;
  return {
    ...contentOf(task),
    status,
    runAt,
    attempt,
    lastSeq: events.length,
    startedAt: hasStarted,
    finishedAt: isTerminal(task),
    cancelRequestedAt: cancel !== null,
    cancelledBy,
  };
}

function pageOf(task: ModelTask, { fromSeq, limit }: Of<"page">): Answer {
  const events = numbered(task, fromSeq, limit);
  const nextFromSeq = fromSeq + events.length;
  const lastSeq = task.events.length;
  return { status: task.status, events, nextFromSeq, lastSeq, hasMore: nextFromSeq <= lastSeq };
}

function resultOf(task: ModelTask): Answer {
  if (!isTerminal(task)) {
    return { error: "TASK_NOT_TERMINAL", task_id: nameOf(task.number), current_status: task.status };
  }
  return { ...task.events.at(-1)!.body, startedAt: task.hasStarted };
}

function differences(one: StartCall, other: StartCall): string {
  const differing: string[] = [];
  if (one.kind !== other.kind) differing.push("kind");
  if (one.key !== other.key || one.value !== other.value) differing.push("params");
  if (one.label !== other.label) differing.push("labels");
  if (differing.length > 0) return differing.join(", ");
  const isSame = one.runAt === other.runAt && one.maxAttempts === other.maxAttempts && one.backoff === other.backoff;
  return isSame ? "" : "run_at, max_attempts or retry_policy";
}
