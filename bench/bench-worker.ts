import { forkProgram } from "./children.ts";
import type { Child } from "./children.ts";

/** A worker of `@spooltape/client` in a process of its own. Resolves when it is connected. */
export async function startWorker(address: string): Promise<Child> {
  await using starting = new AsyncDisposableStack();
  const child = starting.use(forkProgram(import.meta.resolve("./worker-process.ts"), [address]));
  await child.next<"connected">();
  const started = starting.move();
  return { pid: child.pid, failed: child.failed, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
