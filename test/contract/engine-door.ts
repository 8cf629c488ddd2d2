import { SpoolError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { SeenTask, TapePage } from "../../src/engine/task-engine.ts";
import type { TapeEvent } from "../../src/domain/event.ts";
import { startEngine, taskRequest } from "../support/engines.ts";
import { Stage } from "../support/stage.ts";
import { openPostgres } from "../support/stores.ts";
import { DoorError, doorTask } from "./door.ts";
import type { Door, DoorEvent, DoorPage, StartOptions } from "./door.ts";

const HEARTBEAT_MS = 15_000;

/** The engine itself, without a wire. */
export async function openEngineDoor(): Promise<Door> {
  const store = await openPostgres();
  const stage = new Stage();
  const engine = await startEngine(store, { kinds: [stage.kind] });
  const { signal } = new AbortController();
  return {
    stage,
    async start(options: StartOptions) {
      const { task, alreadyStarted } = await told(engine.startTask(taskRequest(options)));
      return { task: doorTask(task), alreadyStarted };
    },
    get: async (taskId) => doorTask(await told(engine.getTask(taskId))),
    async *list({ pageSize = 100, statuses = [], kinds = [], labels = {} }) {
      let beforeTaskId: string | null = null;
      do {
        const filter = { limit: pageSize, beforeTaskId, statuses, kinds, labels };
        const page: { tasks: SeenTask[]; hasMore: boolean } = await told(engine.listTasks(filter));
        yield* page.tasks.map(doorTask);
        beforeTaskId = page.hasMore ? page.tasks.at(-1)!.taskId : null;
      } while (beforeTaskId !== null);
    },
    async cancel(taskId, reason = "") {
      const { task, outcome } = await told(engine.cancelTask(taskId, reason));
      return { status: task.status, outcome };
    },
    async events({ taskId, fromSeq = 1n, limit = 100, waitMs = 0 }) {
      const query = { taskId, fromSeq: fromSeq || 1n, limit, waitMs };
      return toDoorPage(await told(engine.readEvents(query, signal)));
    },
    async *follow({ taskId, fromSeq = 1n }) {
      const pages = engine.followTape({ taskId, fromSeq, heartbeatMs: HEARTBEAT_MS }, signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const { done, value } = await told(pages.next());
          if (done) return;
          yield* (value as TapePage).events.map(toDoorEvent);
        }
      } finally {
        await pages.return?.();
      }
    },
    async result({ taskId, waitMs = 0 }) {
      const { status, result, error, startedAt } = await told(engine.waitForResult({ taskId, waitMs }, signal));
      return { status, result, error, isStarted: startedAt !== null };
    },
    sessions: () => told(engine.listSessions()),
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}

async function told<Answer>(call: Promise<Answer>): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof SpoolError)) throw error;
    throw new DoorError(
      error.reason,
      error.violations.map(({ field }) => field),
      error.metadata,
    );
  }
}

function toDoorPage({ status, events, nextFromSeq, lastSeq, hasMore }: TapePage): DoorPage {
  return { status, events: events.map(toDoorEvent), nextFromSeq, lastSeq, hasMore };
}

function toDoorEvent({ seq, type, body }: TapeEvent): DoorEvent {
  return { seq, type, body: JSON.parse(body) as JsonObject };
}
