// A small model of Spool: it keeps every promise, and does nothing else.

import type { SeenEvent, StartSent, Status } from "../../history.ts";

export type TaskContent = Pick<
  StartSent,
  "namespace" | "requestId" | "kind" | "params" | "labels" | "exclusiveKey" | "retentionMs"
>;

export interface ModelTask extends TaskContent {
  taskId: string;
  status: Status;
  attempt: number;
  tape: SeenEvent[];
  /** When a running task was asked to stop; null: it was not. */
  cancelledAt: number | null;
  endedAt: number | null;
  isRemoved: boolean;
}

export type CancelOutcome = "cancelled" | "requested" | "already_terminal";

export function isEnded({ status }: ModelTask): boolean {
  return status !== "pending" && status !== "running";
}

export class SpoolModel {
  readonly tasks: ModelTask[] = [];
  #digests = 0;

  /** @returns null: the request_id has started a task with other content */
  start(content: TaskContent): { task: ModelTask; alreadyStarted: boolean } | null {
    const { namespace, requestId } = content;
    const earlier =
      requestId !== null &&
      this.tasks.find((task) => !task.isRemoved && task.requestId === requestId && task.namespace === namespace);
    if (earlier) {
      const isSame = earlier.kind === content.kind && JSON.stringify(earlier.params) === JSON.stringify(content.params);
      return isSame ? { task: earlier, alreadyStarted: true } : null;
    }
    const task: ModelTask = {
      ...content,
      taskId: `task-${String(this.tasks.length + 1).padStart(3, "0")}`,
      status: "pending",
      attempt: 0,
      tape: [],
      cancelledAt: null,
      endedAt: null,
      isRemoved: false,
    };
    this.tasks.push(task);
    return { task, alreadyStarted: false };
  }

  find(taskId: string, namespace: string): ModelTask | null {
    return this.tasks.find((task) => task.taskId === taskId && task.namespace === namespace) ?? null;
  }

  /** Takes a pending task if no other task runs with its key. */
  claim(task: ModelTask): boolean {
    const isFree = (other: ModelTask) =>
      other.status !== "running" ||
      task.exclusiveKey === null ||
      other.exclusiveKey !== task.exclusiveKey ||
      other.namespace !== task.namespace;
    if (task.status !== "pending" || !this.tasks.every(isFree)) return false;
    task.status = "running";
    task.attempt++;
    this.append(task, { type: "started", attempt: task.attempt });
    return true;
  }

  append(task: ModelTask, event: Omit<SeenEvent, "seq" | "digest">): void {
    task.tape.push({ seq: task.tape.length + 1, digest: `d${++this.#digests}`, ...event });
  }

  retry(task: ModelTask): void {
    task.status = "pending";
    this.append(task, { type: "retrying" });
  }

  end(task: ModelTask, status: Status, at: number): void {
    task.status = status;
    task.endedAt = at;
    this.append(task, { type: "final", status, outcome: `o${++this.#digests}` });
  }

  cancel(task: ModelTask, at: number): CancelOutcome {
    if (isEnded(task)) return "already_terminal";
    if (task.status === "pending") {
      this.end(task, "cancelled", at);
      return "cancelled";
    }
    if (task.cancelledAt === null) {
      task.cancelledAt = at;
      this.append(task, { type: "cancel_requested" });
    }
    return "requested";
  }
}
