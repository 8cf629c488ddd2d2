import { SpoolError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { FollowedTask, TaskView, TapePage } from "../../src/engine/api/task-engine.ts";
import { bodyOf } from "../../src/domain/event.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import { mergedPayload } from "../../src/domain/series.ts";
import { decodeCursor, encodeCursor } from "../../src/rpc/codec/follow-cursor.ts";
import { taskRequest } from "../support/engines.ts";
import { followQuery } from "../support/followed-tasks.ts";
import { Stage } from "../support/stage.ts";
import { EndpointError, endpointTask, foldedBody, toldEach } from "./endpoint.ts";
import type { Endpoint, EndpointEvent, EndpointNews, EndpointPage, StartOptions } from "./endpoint.ts";
import { openServedEngine } from "./served-engines.ts";

const HEARTBEAT_MS = 15_000;

/** The engine itself, without a wire. */
export async function openEngineEndpoint(): Promise<Endpoint> {
  const stage = new Stage();
  const served = await openServedEngine([stage.kind]);
  const { engine } = served;
  const { signal } = new AbortController();
  return {
    stage,
    async start(options: StartOptions) {
      const { task, alreadyStarted } = await told(engine.startTask(taskRequest(options)));
      return { task: endpointTask(task), alreadyStarted };
    },
    get: async (taskId) => endpointTask(await told(engine.getTask(taskId))),
    async *list({ pageSize = 100, statuses = [], kinds = [], labels = {}, taskIdPrefix = "" }) {
      let beforeTaskId: string | null = null;
      do {
        const prefix = taskIdPrefix.toLowerCase(); // As requests are before they come here.
        const filter = { limit: pageSize, beforeTaskId, statuses, kinds, labels, taskIdPrefix: prefix };
        const page: { tasks: TaskView[]; hasMore: boolean } = await told(engine.listTasks(filter));
        yield* page.tasks.map(endpointTask);
        beforeTaskId = page.hasMore ? page.tasks.at(-1)!.taskId : null;
      } while (beforeTaskId !== null);
    },
    async cancel(taskId, reason = "") {
      const { task, outcome } = await told(engine.cancelTask(taskId, { reason, by: null }));
      return { status: task.status, outcome };
    },
    delete: async (taskId) => (await told(engine.deleteTask(taskId, null))).alreadyDeleted,
    async events({ taskId, fromSeq = 1n, limit = 100, waitMs = 0, view = "recorded" }) {
      const query = { taskId, fromSeq: fromSeq || 1n, limit, waitMs, view };
      return toEndpointPage(await told(engine.readEvents(query, signal)));
    },
    async *follow({ taskId, fromSeq = 1n, view = "recorded" }) {
      const pages = engine.followTape({ taskId, fromSeq, heartbeatMs: HEARTBEAT_MS, view }, signal);
      for await (const page of toldEach(pages, told)) yield* page.events.map(toEndpointEvent);
    },
    async *followTasks({ labels = {}, cursor: text, fromStart = false, view = "events" }) {
      const scope = { kinds: [], labels, view };
      const cursor = text === undefined ? null : decodeCursor(text, scope);
      if (text !== undefined && cursor === null) throw new EndpointError("INVALID_ARGUMENT", ["cursor"], {});
      const query = followQuery({ ...scope, cursor, fromStart });
      for await (const page of toldEach(engine.followTasks(query, signal), told)) {
        yield { tasks: page.tasks.map(toEndpointNews), cursor: encodeCursor(page.cursor, scope) };
      }
    },
    async result({ taskId, waitMs = 0 }) {
      const { status, result, error, startedAt } = await told(engine.waitForResult({ taskId, waitMs }, signal));
      return { status, result, error, isStarted: startedAt !== null };
    },
    sessions: () => told(engine.listSessions()),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
  };
}

async function told<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    throw new EndpointError(
      error.reason,
      error.violations.map(({ field }) => field),
      error.metadata,
    );
  }
}

function toEndpointNews({ taskId, kind, events, state }: FollowedTask): EndpointNews["tasks"][number] {
  const { task, progress = null } = state ?? {};
  return {
    taskId,
    kind,
    events: events.map(toEndpointEvent),
    state: task ? { status: task.status, progress: progress && { ...progress } } : null,
  };
}

function toEndpointPage({ status, events, nextFromSeq, lastSeq, hasMore }: TapePage): EndpointPage {
  return { status, events: events.map(toEndpointEvent), nextFromSeq, lastSeq, hasMore };
}

function toEndpointEvent({ seq, type, body }: TapeEvent): EndpointEvent {
  if (type === "folded") {
    const { first_seq: firstSeq, parts } = bodyOf({ type, body });
    const whole = parts.map((part) => ({
      ...part.partial,
      payload: mergedPayload(part),
      count: part.count,
      firstSeq: BigInt(part.first_seq),
      lastSeq: BigInt(part.last_seq),
    }));
    return { seq, type, body: foldedBody({ firstSeq: BigInt(firstSeq), parts: whole }) };
  }
  return { seq, type, body: JSON.parse(body) as JsonObject };
}
