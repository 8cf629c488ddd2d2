import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { on, once } from "node:events";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/** A process that the benchmark started, and that it ends. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Rejects when it ends, unless it was disposed. */
  readonly failed: Promise<never>;
}

/** One that runs a program of the benchmark, which talks with this one. */
export interface ForkedChild extends Child {
  send(message: object): void;
  /** The next of its messages. @throws if it ends before */
  next<Message>(): Promise<Message>;
}

const running = new Set<ChildProcess>();

// Nothing is left behind where there is no time to dispose.
process.once("exit", () => running.forEach((child) => child.kill("SIGTERM")));

/** @param name for the error where it ends by itself */
export function keep(child: ChildProcess, name: string): Child {
  running.add(child);
  let disposed = false;
  const ended = once(child, "exit").then(([code, signal]) => {
    running.delete(child);
    if (!disposed) throw new Error(`${name} ended with ${code ?? signal}`);
  });
  const failed = ended.then(() => new Promise<never>(() => {}));
  failed.catch(() => {}); // Heard by whoever waits for something of it.
  return {
    pid: child.pid!,
    failed,
    async [Symbol.asyncDispose]() {
      disposed = true;
      child.kill("SIGTERM");
      await ended.catch(() => {});
    },
  };
}

/** Runs a program of the benchmark, which has to end when it is disconnected from this process. */
export function forkProgram(url: string, args: readonly string[] = []): ForkedChild {
  const path = fileURLToPath(url);
  const child = fork(path, args, { execArgv: [] });
  const messages = on(child, "message", { close: ["exit"] });
  const kept = keep(child, basename(path));
  return {
    ...kept,
    send: (message) => void child.send(message),
    async next<Message>() {
      const { done, value } = await messages.next();
      return done ? kept.failed : (value as [Message])[0];
    },
  };
}
