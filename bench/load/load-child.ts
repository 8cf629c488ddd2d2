import { forkProgram } from "../children.ts";
import type { Child } from "../children.ts";
import type { LoadDone, LoadOrder } from "./load.ts";
import type { LoadTargets } from "./load-process.ts";

/** A client of Spool servers in a process of its own. */
export interface LoadChild extends Child {
  run(order: LoadOrder): Promise<LoadDone>;
}

export function startLoad(targets: LoadTargets): LoadChild {
  const child = forkProgram(import.meta.resolve("./load-process.ts"));
  child.send(targets);
  return {
    ...child,
    run(order) {
      child.send(order);
      return child.next<LoadDone>();
    },
  };
}
