import { TaskExpired, TaskNotFound } from "../../../src/domain/errors.ts";
import type { NewEvent, TapeEvent } from "../../../src/domain/event.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import type { Task, TaskState, TaskStatus } from "../../../src/domain/task.ts";
import type { Applied, Flush } from "../../../src/store/tapes/journal-statement.ts";
import type { StoredPage } from "../../../src/store/tapes/event-queries.ts";
import { asCreated } from "../../../src/store/tasks/new-task.ts";
import type { NewTask } from "../../../src/store/tasks/new-task.ts";

/** A row of `tasks`, with its events and its past. */
export interface Row {
  created: NewTask;
  createdAt: Date;
  status: TaskStatus;
  lease: string | null;
  attempt: number;
  lastSeq: bigint;
  appended: bigint;
  events: TapeEvent[];
  /** The status that the task had with each last_seq. */
  past: Map<bigint, TaskStatus>;
}

/**
 * The tables, in memory. Each method is one statement or one short transaction, with the effect of the SQL: it sees all
 * that was committed before, and takes effect at once or not at all.
 */
export class Tables {
  readonly rows = new Map<string, Row>();
  readonly #requests = new Map<string, string>();
  /** Removed tasks. */
  readonly removed = new Map<string, Date>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** As journal-statement.ts. */
  flush({ creates, appends }: Flush): { at: Date; applied: Applied[] } {
    const at = this.#now();
    const applied: Applied[] = [];
    for (const { task, events } of creates) {
      const { taskId, request, lease } = task;
      if (request.requestId !== null && this.#requests.has(request.requestId)) continue;
      if (request.requestId !== null) this.#requests.set(request.requestId, taskId);
      if (this.rows.has(taskId)) continue;
      const row: Row = {
        created: task,
        createdAt: at,
        status: lease === null ? "pending" : "running",
        lease,
        attempt: lease === null ? 0 : 1,
        lastSeq: 0n,
        appended: 0n,
        events: [],
        past: new Map([[0n, "pending"]]),
      };
      this.rows.set(taskId, row);
      this.write(row, events);
      applied.push({ taskId, firstSeq: 1n });
    }
    for (const { fence, appended, events, end } of appends) {
      const row = this.rows.get(fence.taskId);
      if (row === undefined || row.status !== "running" || row.lease !== fence.lease) continue;
      if (row.attempt !== fence.attempt || row.appended !== appended) continue;
      row.appended += BigInt(events.length);
      if (end !== null) [row.status, row.lease] = [end, null];
      applied.push({ taskId: fence.taskId, firstSeq: this.write(row, events) });
    }
    return { at, applied };
  }

  /** Numbers and stores events, after their task was changed in the same commit. @returns the seq of the first */
  write(row: Row, events: readonly NewEvent[]): bigint {
    const firstSeq = row.lastSeq + 1n;
    const time = this.#now();
    for (const event of events) row.events.push({ ...event, seq: ++row.lastSeq, time });
    row.past.set(row.lastSeq, row.status);
    return firstSeq;
  }

  /** Removes an ended task with its request_id. */
  remove(taskId: string): void {
    const { request } = this.rows.get(taskId)!.created;
    if (request.requestId !== null) this.#requests.delete(request.requestId);
    this.rows.delete(taskId);
    this.removed.set(taskId, this.#now());
  }

  /** As findRemoved. */
  findRemoved(taskIds: readonly string[]): Set<string> {
    return new Set(taskIds.filter((taskId) => this.removed.has(taskId)));
  }

  /** As readTaskStates. */
  states(taskIds: readonly string[]): (TaskState & Pick<Row, "lease" | "attempt" | "appended">)[] {
    return taskIds.flatMap((taskId) => {
      const row = this.rows.get(taskId);
      if (row === undefined) return [];
      const { status, lease, attempt, lastSeq, appended } = row;
      return [{ taskId, status, lease, attempt, lastSeq, appended }];
    });
  }

  /** As readTaskByRequest. */
  byRequest(requestId: string): (Task & { requestDigest: string | null }) | undefined {
    const row = this.rows.get(this.#requests.get(requestId) ?? "");
    return row && { ...this.#taskOf(row), requestDigest: row.created.requestDigest };
  }

  /** As readTask. @throws TaskNotFound, TaskExpired */
  task(taskId: string): Task {
    return this.#taskOf(this.#find(taskId));
  }

  /** As readPage, where the bound of bytes is as many events. @throws TaskNotFound, TaskExpired */
  page({ taskId, fromSeq, limit }: { taskId: string; fromSeq: bigint; limit: number }): StoredPage {
    const { status, lastSeq, events } = this.#find(taskId);
    const from = Number(fromSeq) - 1;
    return { taskId, status, lastSeq, events: events.slice(from, from + limit) };
  }

  #find(taskId: string): Row {
    const row = this.rows.get(taskId);
    if (row !== undefined) return row;
    const removedAt = this.removed.get(taskId);
    throw removedAt === undefined ? new TaskNotFound(taskId) : new TaskExpired(taskId, removedAt);
  }

  #taskOf({ created, createdAt, status, lease, attempt, lastSeq }: Row): Task {
    const finishedAt = isTerminal(status) ? createdAt : null;
    return { ...asCreated(created, createdAt), status, lease, attempt, lastSeq, finishedAt };
  }
}
