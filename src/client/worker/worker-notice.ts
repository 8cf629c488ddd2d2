/** What happens to a worker, for a log. */
export type WorkerNotice =
  /** @param resumed whether it goes on with the tasks that it had */
  | { type: "connected"; sessionId: string; resumed: boolean }
  /** It comes back after delayMs. Its tasks run on. */
  | { type: "disconnected"; error: Error; delayMs: number }
  /** The server shuts down: there is nothing more from it. */
  | { type: "draining" }
  /** The code of a task threw. */
  | { type: "threw"; taskId: string; kind: string; attempt: number; error: unknown }
  /**
   * An error that nobody caught, or an exit, came from the code of a task: it ends this process, unless something of its
   * own catches it. Told synchronously, before.
   *
   * @param error undefined: the code asked for the exit
   */
  | { type: "fatal"; taskId: string; kind: string; attempt: number; error?: unknown }
  /** The server took nothing of what an attempt sent. */
  | { type: "refused"; taskId: string; attempt: number; reason: string; message: string };
