import { signal } from "@preact/signals";
import { fromTaskMessage } from "../../codec/task.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import type { Task } from "../../client/types.ts";
import { answeredAtLast, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";

/** Maximum matches shown. */
const MATCHES_MAX = 50;

/** Reads the tasks whose ids start with a prefix, newest first, until it is closed. */
export class PrefixSearch implements Disposable {
  /** null: not read yet. */
  readonly matches = signal<readonly Task[] | null>(null);
  /** Whether there are further matches. */
  readonly hasMore = signal(false);
  readonly error = signal<SpoolRpcError | null>(null);
  readonly #closed = new AbortController();

  constructor(taskIdPrefix: string) {
    this.#read(taskIdPrefix).catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.error.value = error as SpoolRpcError;
    });
  }

  async #read(taskIdPrefix: string): Promise<void> {
    const { signal } = this.#closed;
    const request = { taskIdPrefix, pageSize: MATCHES_MAX };
    const { tasks, nextPageToken } = await answeredAtLast(() => taskCalls.listTasks(request, { signal }), signal);
    this.hasMore.value = nextPageToken !== "";
    this.matches.value = tasks.map(fromTaskMessage);
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    connection.value = "idle";
  }
}
