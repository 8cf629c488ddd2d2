import { digestJson } from "../domain/canonical-json.ts";
import { newEvent } from "../domain/event.ts";
import { exclusiveKeyOf } from "../domain/kind.ts";
import { digestRequest } from "../domain/request-digest.ts";
import { resolveRetry } from "../domain/retry.ts";
import type { Task, TaskRequest } from "../domain/task.ts";
import type { Limits } from "../domain/tenant-limits.ts";
import { asCreated } from "../store/tasks/new-task.ts";
import type { NewTask } from "../store/tasks/new-task.ts";
import type { Feed } from "./read/feed.ts";
import type { Journal } from "./write/journal.ts";
import type { KindDirectory } from "./cluster/kind-directory.ts";
import type { NamespaceUse, Starting } from "./cluster/namespace-use.ts";
import type { Runners } from "./cluster/runners.ts";
import { newTaskId } from "./write/task-id.ts";
import type { EngineObserver } from "./api/engine-observer.ts";

/** Stores tasks: as running if this process or a connected worker has a free slot for the task, and else as pending. */
export class Starter {
  readonly #parts: StarterParts;
  /** Starts that are being stored. */
  readonly #starts = new Set<Promise<unknown>>();

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  /**
   * @param limits of the caller
   * @throws KindUnknown, InvalidArgument (params.*), RequestIdReused, LimitExceeded, StoreUnavailable, Overloaded
   */
  async start(request: TaskRequest, limits: Limits): Promise<{ task: Task; alreadyStarted: boolean }> {
    const start = this.#start(request, { startedBy: request.startedBy, limits });
    this.#starts.add(start);
    try {
      return await start;
    } finally {
      this.#starts.delete(start);
    }
  }

  /** Waits until the current starts are stored, or have failed. */
  async whenIdle(): Promise<void> {
    await Promise.allSettled(this.#starts);
  }

  async #start(request: TaskRequest, by: Starting): Promise<{ task: Task; alreadyStarted: boolean }> {
    const { namespace, directory, runners, use, journal, feed, observer } = this.#parts;
    const { kind, retry, isUnvalidated } = await directory.find(request.kind);
    const params = JSON.stringify(request.params);
    await use.refresh(by);
    const exclusiveKey = kind === null ? null : exclusiveKeyOf(kind, request.params);
    const isDue = request.runAt === null && (request.deadlineAt === null || request.deadlineAt.getTime() > Date.now());
    const slot = isDue && exclusiveKey === null && !isUnvalidated ? runners.reserve(request.kind) : null;
    const lease = slot?.lease ?? null;
    const paramsDigest = digestJson(request.params);
    const newTask: NewTask = {
      taskId: newTaskId(),
      namespace,
      request,
      params,
      paramsDigest,
      requestDigest: request.requestId === null ? null : digestRequest(request, paramsDigest),
      ...resolveRetry(request, retry),
      exclusiveKey,
      isUnvalidated,
      lease,
    };
    try {
      use.admitStart({ params, isPending: slot === null, by });
      const started = lease === null ? [] : [newEvent("started", { kind: request.kind, attempt: 1 })];
      const outcome = await journal.create(newTask, started);
      if (!outcome.created) return { task: outcome.task, alreadyStarted: true };
      const task = asCreated(newTask, outcome.at);
      observer.taskStored(task.kind);
      if (slot === null) {
        feed.announce(task);
        if (isUnvalidated) runners.onUnvalidated(request.kind);
        else if (request.runAt === null || request.runAt.getTime() <= Date.now())
          runners.onWaiting(request.kind, exclusiveKey);
      } else {
        slot.runner.executor.run(task, { lease: slot.lease, at: outcome.at });
      }
      return { task, alreadyStarted: false };
    } finally {
      slot?.runner.executor.release(1);
    }
  }
}

interface StarterParts {
  namespace: string;
  directory: KindDirectory;
  runners: Runners;
  use: NamespaceUse;
  journal: Journal;
  feed: Feed;
  observer: EngineObserver;
}
