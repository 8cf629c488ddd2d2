import type { HistoryLine, Refusal } from "../../history.ts";
import { isEnded } from "./spool-model.ts";
import type { ModelTask, TaskContent } from "./spool-model.ts";
import { KINDS, lostAnswer, NAMESPACES, refusal } from "./stage.ts";
import type { Actor, Stage } from "./stage.ts";
import { foldedView } from "./views.ts";

/** A call from its sent line to its answer. */
interface PendingCall {
  /** What the service does, in one commit or one snapshot. @returns the fields of the answer */
  effect: () => object;
  answer: object | null;
  /** How its answer gets lost, if it does. `late`: the effect comes after the caller has given up. */
  fate: "answered" | "refused" | "lost" | "late" | "retried" | "silent";
  write: (answer: object) => void;
}

/** A caller with one call at a time. */
export class Client implements Actor {
  readonly #stage: Stage;
  readonly #name: string;
  #calls = 0;
  #pending: PendingCall | null = null;

  constructor(stage: Stage, name: string) {
    this.#stage = stage;
    this.#name = name;
  }

  act(): void {
    const stage = this.#stage;
    const call = this.#pending;
    if (call === null) {
      if (!stage.isEnding) this.#send();
      return;
    }
    if (call.answer === null && call.fate !== "refused" && call.fate !== "late") {
      if (call.fate === "retried") call.effect();
      call.answer = call.effect();
      if (stage.chance(0.5)) return;
    }
    if (call.fate === "silent") return;
    if (call.fate === "late") stage.late.push(call.effect);
    const isLost = ["refused", "lost", "late"].includes(call.fate);
    call.write(isLost || call.answer === null ? lostAnswer(stage) : call.answer);
    this.#pending = null;
  }

  #send(): void {
    const stage = this.#stage;
    const tasks = stage.named();
    if (tasks.length === 0 || stage.chance(0.2)) return this.#start();
    const task = stage.pick(tasks);
    const choice = stage.random.next();
    if (choice < 0.35) return this.#callTask("read", task, {}, () => stateOf(task));
    if (choice < 0.55) return this.#page(task);
    if (choice < 0.7) return this.#callTask("result", task, { waitMs: 0 }, () => resultOf(task));
    if (choice < 0.8) return this.#callTask("cancel", task, {}, () => this.#cancel(task));
    if (choice < 0.88) return this.#callTask("delete", task, {}, () => this.#delete(task));
    return this.#list();
  }

  #start(): void {
    const stage = this.#stage;
    const content = this.#newContent();
    const call = this.#nextCall();
    const from = { client: this.#name, call };
    stage.write({ type: "start_sent", at: stage.now, ...from, ...content });
    const effect = () => {
      const started = stage.spool.start(content);
      if (started === null) return refusal("ALREADY_EXISTS", "REQUEST_ID_REUSED");
      const { task, alreadyStarted } = started;
      // The answer to a repeated start may be older than the call.
      const lastSeq = alreadyStarted && stage.chance(0.3) ? stage.below(task.tape.length + 1) : task.tape.length;
      return { taskId: task.taskId, alreadyStarted, ...stateAt(task, lastSeq) };
    };
    const answer = (fields: object) => write(stage, { type: "start_answered", at: stage.now, ...from, ...fields });
    this.#await(effect, answer, { isRepeatable: content.requestId !== null });
  }

  #newContent(): TaskContent {
    const stage = this.#stage;
    const number = stage.below(12);
    const kind = KINDS[number % KINDS.length]!;
    return {
      namespace: NAMESPACES[stage.chance(0.75) ? 0 : 1],
      requestId: stage.chance(0.8) ? `request-${number}` : null,
      kind,
      params: { count: stage.chance(0.9) ? number : -1 },
      labels: {},
      exclusiveKey: kind === "exclusive" ? "key" : null,
      ...(number === 11 && { retentionMs: 1_000 }),
    };
  }

  #page(task: ModelTask): void {
    const stage = this.#stage;
    const fromSeq = stage.below(task.tape.length + 3);
    const view = stage.chance(0.3) ? "folded" : "recorded";
    const limit = 1 + stage.below(20);
    this.#callTask("page", task, { fromSeq, view, limit, waitMs: 0 }, () => {
      const first = Math.max(1, fromSeq);
      const rest = task.tape.slice(first - 1);
      const events = (view === "folded" ? foldedView(rest, stage.random) : rest).slice(0, limit);
      const last = events.at(-1);
      const nextFromSeq = last === undefined ? first : (last.coversTo ?? last.seq) + 1;
      const lastSeq = task.tape.length;
      const hasMore = lastSeq >= nextFromSeq;
      return { fromSeq, view, status: task.status, lastSeq, nextFromSeq, hasMore, events };
    });
  }

  #cancel(task: ModelTask): object {
    const outcome = this.#stage.spool.cancel(task, this.#stage.now);
    return { outcome, status: task.status, lastSeq: task.tape.length, attempt: task.attempt };
  }

  #delete(task: ModelTask): object {
    if (task.isRemoved) return { alreadyDeleted: true };
    if (!isEnded(task)) return refusal("FAILED_PRECONDITION", "TASK_NOT_TERMINAL");
    task.isRemoved = true;
    return { alreadyDeleted: false };
  }

  #callTask(name: string, task: ModelTask, fields: object, effect: () => object): void {
    const stage = this.#stage;
    const from = { client: this.#name, call: this.#nextCall(), taskId: task.taskId };
    write(stage, { type: `${name}_sent`, at: stage.now, ...from, namespace: task.namespace, ...fields });
    const find = () => (task.isRemoved && name !== "delete" ? refusal("NOT_FOUND", "TASK_EXPIRED") : effect());
    this.#await(find, (answer) => write(stage, { type: `${name}_answered`, at: stage.now, ...from, ...answer }));
  }

  /** Reads a list in two pages, between which others act. */
  #list(): void {
    const stage = this.#stage;
    const namespace = stage.pick(NAMESPACES);
    const statuses = stage.chance(0.7) ? [] : ["succeeded", "failed"];
    const fields = { client: this.#name, namespace, sentAt: stage.now, kinds: [], statuses, pageTokens: ["token"] };
    const page = (before: string, limit: number) =>
      stage.spool.tasks
        .filter((task) => task.namespace === namespace && !task.isRemoved && task.taskId < before)
        .filter(({ status }) => statuses.length === 0 || statuses.includes(status))
        .map(({ taskId }) => taskId)
        .toReversed()
        .slice(0, limit);
    // Time passes, so that what was acknowledged before the list is older than the list.
    stage.pass(1);
    fields.sentAt = stage.now;
    const firstMax = 1 + stage.below(10);
    const effect = () => ({ taskIds: page("~", firstMax) });
    this.#await(effect, (answer) => {
      const { taskIds } = answer as { taskIds?: string[] };
      const rest = taskIds?.length === firstMax ? page(taskIds.at(-1)!, Infinity) : [];
      const all = taskIds === undefined ? { taskIds: [], ...answer } : { taskIds: [...taskIds, ...rest] };
      write(stage, { type: "listed", at: stage.now, ...fields, ...all });
    });
  }

  #await(effect: () => object, writeAnswer: (answer: object) => void, { isRepeatable = true } = {}): void {
    const { random } = this.#stage;
    const fates = ["refused", "lost", "late", ...(isRepeatable ? (["retried"] as const) : [])] as const;
    const fate = random.next() < 0.75 ? "answered" : random.next() < 0.03 ? "silent" : this.#stage.pick(fates);
    this.#pending = { effect, answer: null, fate, write: writeAnswer };
  }

  #nextCall(): number {
    return ++this.#calls;
  }
}

/** Returns what a task was when its tape had so many events. */
function stateAt({ tape }: ModelTask, lastSeq: number): object {
  const events = tape.slice(0, lastSeq);
  const last = events.at(-1);
  const isWaiting = last === undefined || last.type === "retrying";
  const status = last?.type === "final" ? last.status : isWaiting ? "pending" : "running";
  return { status, lastSeq, attempt: events.findLast(({ type }) => type === "started")?.attempt ?? 0 };
}

function stateOf({ status, tape, attempt, cancelledAt }: ModelTask): object {
  return { status, lastSeq: tape.length, attempt, isCancelRequested: cancelledAt !== null };
}

function resultOf(task: ModelTask): object | Refusal {
  if (!isEnded(task)) return refusal("FAILED_PRECONDITION", "TASK_NOT_TERMINAL");
  return { status: task.status, digest: task.tape.at(-1)!.outcome! };
}

function write(stage: Stage, line: object): void {
  stage.write(line as HistoryLine);
}
