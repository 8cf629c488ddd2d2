/** An event of a worker, for a log. */
export type WorkerNotice =
  /** @param resumed whether it keeps its running tasks */
  | { type: "connected"; sessionId: string; resumed: boolean }
  /** The worker reconnects after delayMs. Its tasks keep running. */
  | { type: "disconnected"; error: Error; delayMs: number }
  /** The server shuts down and assigns no more tasks. */
  | { type: "draining" }
  /** The code of a task threw. */
  | { type: "threw"; taskId: string; kind: string; attempt: number; error: unknown }
  /**
   * The code of a task caused an uncaught error or an exit, which ends this process unless the process handles it.
   * Called synchronously, before the process ends.
   *
   * @param error undefined: the code asked for the exit
   */
  | { type: "fatal"; taskId: string; kind: string; attempt: number; error?: unknown }
  /** The server rejected what an attempt sent. */
  | { type: "refused"; taskId: string; attempt: number; reason: string; message: string };
