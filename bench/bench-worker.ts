import { forkProgram } from "./children.ts";
import type { Target } from "./load/load.ts";

/** Workers of `@spooltape/client`, each in a process of its own, one for each target. Resolves when they are connected. */
export async function startWorkers(targets: readonly Target[]): Promise<AsyncDisposable> {
  await using starting = new AsyncDisposableStack();
  for (const { address, namespace } of targets) {
    const args = namespace === undefined ? [address] : [address, namespace];
    const child = starting.use(forkProgram(import.meta.resolve("./worker-process.ts"), args));
    await child.next<"connected">();
  }
  return starting.move();
}
