import { batch, signal } from "@preact/signals";
import { toStatusValue } from "../../codec/status.ts";
import { fromProgressMessage } from "../../codec/event.ts";
import { fromTaskMessage } from "../../codec/task.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { Progress, Task } from "../../client/types.ts";
import { answered, answeredAtLast, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import type { TaskFilter } from "../route.ts";
import { whileVisible } from "../visibility.ts";
import { followTasks } from "./follow-tasks.ts";
import { mergeRows } from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";

/** Tasks per page. */
const PAGE_TASKS = 50;

/** One page of a filtered list, updated from one stream until it is closed. */
export class TaskList implements Disposable {
  /** null: not read yet. */
  readonly rows = signal<readonly TaskRow[] | null>(null);
  readonly hasOlder = signal(false);
  /** Why the list stopped updating; null: it is being updated. */
  readonly error = signal<SpoolRpcError | null>(null);
  readonly #filter: TaskFilter;
  readonly #pageToken: string;
  readonly #closed = new AbortController();

  /** @param pageToken empty: the newest tasks; tasks that start later are added */
  constructor(filter: TaskFilter, pageToken: string) {
    this.#filter = filter;
    this.#pageToken = pageToken;
    this.#run().catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.error.value = error as SpoolRpcError;
    });
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    connection.value = "idle";
  }

  /** Returns a current token for the next page, so that the pages do not overlap. */
  async olderToken(): Promise<string> {
    const { signal } = this.#closed;
    const { nextPageToken } = await answered(this.#read(signal), signal);
    return nextPageToken;
  }

  #run(): Promise<void> {
    return whileVisible(this.#closed.signal, async (signal) => {
      connection.value = "connecting";
      let isFirst = true;
      for await (const frame of followTasks(this.#filter, signal)) {
        const changed = frame.tasks.flatMap(({ task, progress }) => (task ? [toRow(task, progress)] : []));
        // The stream opens before the list is read, so that no change in between is missed.
        if (isFirst) await this.#refresh(signal);
        isFirst = false;
        this.#take(changed);
        // Tasks that left the page are not replaced from the next page, so the page is read again.
        if (this.hasOlder.value && this.rows.value!.length < PAGE_TASKS / 2) await this.#refresh(signal);
      }
    });
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { tasks, progress, nextPageToken } = await answeredAtLast(() => this.#read(signal), signal);
    const rows = tasks.map((message) => {
      const latest = progress[message.taskId];
      return toRow(fromTaskMessage(message), latest ? fromProgressMessage(latest) : null);
    });
    batch(() => {
      this.rows.value = mergeRows(rows, this.rows.value ?? [], this.#bounds(false)).rows;
      this.hasOlder.value = nextPageToken !== "";
    });
  }

  #read(signal: AbortSignal) {
    const { statuses, kinds, labels } = this.#filter;
    const request = {
      pageSize: PAGE_TASKS,
      pageToken: this.#pageToken,
      statuses: statuses.map((status) => toStatusValue(status)),
      kinds: [...kinds],
      labels: { ...labels },
      withProgress: true,
    };
    return taskCalls.listTasks(request, { signal });
  }

  #take(changed: readonly TaskRow[]): void {
    const { rows, hasOverflow } = mergeRows(this.rows.value!, changed, this.#bounds(this.#pageToken === ""));
    batch(() => {
      this.rows.value = rows;
      if (hasOverflow) this.hasOlder.value = true;
    });
  }

  #bounds(isNewest: boolean) {
    return { filter: this.#filter, isNewest, max: PAGE_TASKS };
  }
}

function toRow(task: Task, progress: Progress | null): TaskRow {
  if (task.status !== "running" || progress === null) return { task, progress: null };
  const { phase, current, total } = progress;
  return { task, progress: { phase, current, total } };
}
