import { untilEven } from "../../async/even-time.ts";
import { refuseTaskToken } from "../../domain/access.ts";
import { KindUnknown, PermissionDenied, RequestIdTaken, SpoolError, TaskNotFound } from "../../domain/errors.ts";
import { matchesAny, maySee, visibleTasks } from "../../domain/principal.ts";
import type { Principal, VisibleTasks } from "../../domain/principal.ts";
import type { TaskRequest } from "../../domain/task.ts";
import type { TaskEngine, TaskView } from "./task-engine.ts";

/**
 * A refusal takes a multiple of this time. A task that exists takes Postgres some µs more than one that does not, because
 * its kind and labels are compared.
 */
const NOT_FOUND_STEP_MS = 5;

/**
 * Returns an engine with only the tasks that a caller may see. Other tasks do not exist for this caller: every call
 * answers as for an id that was never given, after the same statements. The labels and the kind of a task never change,
 * so a task that was seen once is seen by the whole call.
 *
 * A removed task has no labels any more, so it is not found either.
 */
export function restrictEngine(engine: TaskEngine, principal: Principal): TaskEngine {
  const only = visibleTasks(principal);

  /** Reads a task. The time of a refusal does not tell whether the task exists. */
  async function seen(taskId: string): Promise<TaskView> {
    const begunAt = performance.now();
    try {
      return await find(taskId);
    } catch (error) {
      if (error instanceof TaskNotFound) await untilEven(begunAt, NOT_FOUND_STEP_MS);
      throw error;
    }
  }

  async function find(taskId: string): Promise<TaskView> {
    if (principal.taskId !== null && principal.taskId !== taskId) throw new TaskNotFound(taskId);
    const task = await engine.getTask(taskId, only).catch((error: unknown) => {
      throw error instanceof SpoolError && error.reason === "TASK_EXPIRED" ? new TaskNotFound(taskId) : error;
    });
    // The store has compared kind and labels already. This check does not depend on SQL.
    if (!maySee(principal, task)) throw new TaskNotFound(taskId);
    return task;
  }

  return {
    async startTask(request, limits) {
      const allowed = labelled(request, principal);
      return engine.startTask(allowed, limits).catch(async (error: unknown) => {
        if (error instanceof KindUnknown) {
          const known = error.known.filter((kind) => matchesAny(principal.kinds, kind));
          throw new KindUnknown(request.kind, known);
        }
        const { reason, metadata } = error as Partial<SpoolError>;
        if (reason !== "REQUEST_ID_REUSED") throw error;
        const isSeen = await seen(metadata!["task_id"]!).catch(() => null);
        throw isSeen === null ? new RequestIdTaken(request.requestId!) : error;
      });
    },

    getTask: seen,

    listTasks: async (filter) => engine.listTasks({ ...filter, ...visible(filter, principal) }),

    async getActivity(query) {
      const { kinds } = visible({ kinds: query.kinds, labels: {} }, principal);
      refuseLabels(principal, "activity is not counted by label, so callers that see only some labels cannot read it");
      return engine.getActivity({ ...query, kinds });
    },

    async connectWorker(hello, send) {
      refuseTaskToken(principal);
      for (const { name } of hello.kinds) requireKind(name, principal);
      const what = "a worker is assigned tasks of all labels, so callers that see only some labels cannot connect one";
      refuseLabels(principal, what);
      return engine.connectWorker(hello, send);
    },

    async listSessions() {
      refuseTaskToken(principal);
      const { sessions, hasMore } = await engine.listSessions();
      const seenSessions = sessions.map((session) => ({
        ...session,
        kinds: session.kinds.filter((kind) => matchesAny(principal.kinds, kind)),
      }));
      return { sessions: seenSessions.filter(({ kinds }) => kinds.length > 0), hasMore };
    },

    async cancelTask(taskId, cancel) {
      await seen(taskId);
      return engine.cancelTask(taskId, cancel);
    },

    async deleteTask(taskId, by) {
      await seen(taskId);
      return engine.deleteTask(taskId, by);
    },

    async readEvents(query, signal) {
      await seen(query.taskId);
      return engine.readEvents(query, signal);
    },

    async *followTape(query, signal) {
      await seen(query.taskId);
      yield* engine.followTape(query, signal);
    },

    async *followTasks(query, signal) {
      yield* engine.followTasks({ ...query, ...visible(query, principal) }, signal);
    },

    async waitForResult(query, signal) {
      await seen(query.taskId);
      return engine.waitForResult(query, signal);
    },
  };
}

function requireKind(kind: string, { name, kinds }: Principal): void {
  if (matchesAny(kinds, kind)) return;
  throw new PermissionDenied(`${name} may not use the kind ${JSON.stringify(kind)}`, { principal: name, kind });
}

function refuseLabels({ name, labels }: Principal, what: string): void {
  if (Object.keys(labels).length > 0) throw new PermissionDenied(what, { principal: name });
}

/** Returns the request with the caller's labels. @throws PermissionDenied if it has another kind or another label */
function labelled(request: TaskRequest, principal: Principal): TaskRequest {
  refuseTaskToken(principal);
  requireKind(request.kind, principal);
  return { ...request, labels: { ...request.labels, ...allowedLabels(request.labels, principal) } };
}

function allowedLabels(wanted: Readonly<Record<string, string>>, { name, labels }: Principal) {
  for (const [key, value] of Object.entries(labels)) {
    if (!Object.hasOwn(wanted, key) || wanted[key] === value) continue;
    const what = `${name} may only use the label ${key}=${value}`;
    throw new PermissionDenied(what, { principal: name, label: key });
  }
  return labels;
}

/** Returns a filter that takes only what the caller may see. @throws PermissionDenied if the filter asks for more */
function visible(filter: VisibleTasks, principal: Principal): VisibleTasks {
  refuseTaskToken(principal);
  for (const kind of filter.kinds) requireKind(kind, principal);
  return {
    kinds: filter.kinds.length > 0 ? filter.kinds : visibleTasks(principal).kinds,
    labels: { ...filter.labels, ...allowedLabels(filter.labels, principal) },
  };
}
