import type { CallOptions, SpoolClient, Task } from "../../../src/client/client.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import type { HistoryLine, Refusal, View } from "../history.ts";
import type { Recorder } from "../recorder.ts";
import type { Board, SentStart } from "./board.ts";
import { between, choose } from "./choices.ts";
import { RUN_LABEL } from "./planned-start.ts";
import { digest, outcomeDigest, refusalOf, seenEvent } from "./seen-event.ts";

const PATIENCE_MS_MIN = 2_000;
const PATIENCE_MS_MAX = 20_000;
const LIST_PAGE_SIZE = 200;

type CallName = "start" | "cancel" | "delete" | "read" | "page" | "result";
type Line<Type> = Extract<HistoryLine, { type: Type }>;
/** The fields of a line that the recorder does not know by itself. */
type Fields<Type> =
  Line<Type> extends infer One ? (One extends unknown ? Omit<One, "at" | "type" | "client" | "call"> : never) : never;

/** What one sequential caller of a namespace is. */
export interface CallerParts {
  name: string;
  board: Board;
  /** A client for each way to the service. They do not retry. */
  clients: readonly SpoolClient[];
  recorder: Recorder;
  random: SeededRandom;
  /** The label of the run. */
  run: string;
  /** Ends all calls. */
  signal: AbortSignal;
}

/** The calls of one sequential caller, each recorded before it is sent and after it is answered. */
export class RecordedCalls {
  readonly #parts: CallerParts;

  constructor(parts: CallerParts) {
    this.#parts = parts;
  }

  /** @returns the id of the task; null: the start was refused, or has no answer */
  start({ planned, request, runAt, deadlineAt }: SentStart): Promise<string | null> {
    const { kind, params, requestId, labels = {}, maxAttempts } = request;
    const sent = {
      requestId,
      namespace: this.#namespace,
      kind,
      params,
      labels: { ...labels },
      exclusiveKey: planned.exclusiveKey,
      ...(runAt !== undefined && { runAt }),
      ...(deadlineAt !== undefined && { deadlineAt }),
      ...(planned.retentionMs !== undefined && { retentionMs: planned.retentionMs }),
      ...(maxAttempts !== undefined && { maxAttempts }),
    };
    return this.#call(
      "start",
      sent,
      (client, options) => client.start(request, options),
      ({ task, alreadyStarted }) => {
        this.#parts.board.add(task.taskId, task.kind);
        return [{ taskId: task.taskId, alreadyStarted, ...this.#stateOf(task) }, task.taskId];
      },
    );
  }

  async cancel(taskId: string): Promise<void> {
    await this.#onTask("cancel", taskId, {}, (client, options) => client.cancel({ taskId }, options), (answer) => [
      { taskId, outcome: answer.outcome, ...this.#stateOf(answer.task) },
      null,
    ]); // prettier-ignore
  }

  async delete(taskId: string): Promise<void> {
    await this.#onTask("delete", taskId, {}, (client, options) => client.delete({ taskId }, options), (answer) => [
      { taskId, alreadyDeleted: answer.alreadyDeleted },
      null,
    ]); // prettier-ignore
  }

  /** @returns the last seq; null: the read was refused, or has no answer */
  read(taskId: string): Promise<number | null> {
    return this.#onTask("read", taskId, {}, (client, options) => client.get({ taskId }, options), (task) => [
      { taskId, ...this.#stateOf(task), isCancelRequested: task.cancelRequestedAt !== null },
      Number(task.lastSeq),
    ]); // prettier-ignore
  }

  async page(taskId: string, page: { fromSeq: number; view: View; limit: number; waitMs: number }): Promise<void> {
    const { fromSeq, view, limit, waitMs } = page;
    const request = { taskId, fromSeq: BigInt(fromSeq), view, limit, waitMs };
    await this.#onTask("page", taskId, page, (client, options) => client.events(request, options), (answer) => {
      if (answer.events.at(-1)?.type === "final") this.#parts.board.ended(taskId);
      return [
        {
          taskId,
          fromSeq,
          view,
          status: answer.status,
          lastSeq: Number(answer.lastSeq),
          nextFromSeq: Number(answer.nextFromSeq),
          hasMore: answer.hasMore,
          events: answer.events.map(seenEvent),
        },
        null,
      ];
    }); // prettier-ignore
  }

  async result(taskId: string, waitMs: number): Promise<void> {
    await this.#onTask("result", taskId, { waitMs }, (client, options) => client.result({ taskId, waitMs }, options), (answer) => {
      this.#parts.board.ended(taskId);
      return [{ taskId, status: answer.status, digest: outcomeDigest(answer) }, null];
    }); // prettier-ignore
  }

  /** Reads a whole list of the tasks of the run. */
  async list({ kinds = [], statuses = [] }: { kinds?: string[]; statuses?: Task["status"][] }): Promise<void> {
    const { recorder, clients, random, run, name, board } = this.#parts;
    const client = choose(random, clients);
    const sentAt = recorder.now();
    const pageTokens: string[] = [];
    const taskIds: string[] = [];
    let refusal: Refusal | null = null;
    try {
      for (let pageToken = ""; ;) {
        const filter = { kinds, statuses, labels: { [RUN_LABEL]: run }, pageSize: LIST_PAGE_SIZE, pageToken };
        const page = await client.listPage(filter, { signal: this.#patience(0) });
        for (const task of page.tasks) {
          taskIds.push(task.taskId);
          board.add(task.taskId, task.kind);
        }
        pageToken = page.nextPageToken;
        if (pageToken === "") break;
        pageTokens.push(digest(pageToken));
      }
    } catch (error) {
      refusal = refusalOf(error);
    }
    const query = { namespace: this.#namespace, sentAt, kinds, statuses };
    const line = { type: "listed" as const, client: name, ...query, pageTokens, taskIds };
    recorder.write(refusal === null ? line : { ...line, ...refusal });
  }

  get #namespace(): string {
    return this.#parts.board.namespace;
  }

  #stateOf({ status, lastSeq, attempt, finishedAt, taskId }: Task) {
    if (finishedAt !== null) this.#parts.board.ended(taskId);
    return { status, lastSeq: Number(lastSeq), attempt };
  }

  #onTask<Name extends CallName, Answer, Result>(
    name: Name,
    taskId: string,
    sent: object,
    make: (client: SpoolClient, options: CallOptions) => Promise<Answer>,
    describe: (answer: Answer) => [Fields<`${Name}_answered`>, Result],
  ): Promise<Result | null> {
    const namespace = this.#namespace;
    const waitMs = "waitMs" in sent ? Number(sent.waitMs) : 0;
    const all = { namespace, taskId, ...sent } as unknown as Fields<`${Name}_sent`>;
    return this.#call(name, all, make, describe, { waitMs, refused: { taskId } });
  }

  async #call<Name extends CallName, Answer, Result>(
    name: Name,
    sent: Fields<`${Name}_sent`>,
    make: (client: SpoolClient, options: CallOptions) => Promise<Answer>,
    describe: (answer: Answer) => [Fields<`${Name}_answered`>, Result],
    { waitMs = 0, refused = {} }: { waitMs?: number; refused?: object } = {},
  ): Promise<Result | null> {
    const { recorder, name: client, clients, random } = this.#parts;
    const call = recorder.nextCall();
    const record = (type: `${Name}_${"sent" | "answered"}`, fields: object) =>
      recorder.write({ type, client, call, ...fields } as unknown as Parameters<Recorder["write"]>[0]);
    const used = choose(random, clients);
    const signal = this.#patience(waitMs);
    record(`${name}_sent`, sent);
    try {
      const [fields, result] = describe(await make(used, { signal }));
      record(`${name}_answered`, fields);
      return result;
    } catch (error) {
      record(`${name}_answered`, { ...refused, ...refusalOf(error) });
      return null;
    }
  }

  /** Of this call: some callers wait for long, others give up soon. */
  #patience(waitMs: number): AbortSignal {
    const { random, signal } = this.#parts;
    const ms = Math.round(waitMs + between(random, PATIENCE_MS_MIN, PATIENCE_MS_MAX));
    return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  }
}
