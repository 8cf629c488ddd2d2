import { choose } from "../workload/choices.ts";
import type { Fault } from "./fault.ts";

/** The callers and followers of a namespace are stopped with SIGSTOP: they read nothing of their streams for a while. */
export const callersPause: Fault = {
  name: "callers-pause",
  lane: "callers",
  isPossible: () => true,
  async inject({ crowds, guard, random, hold }) {
    const crowd = choose(random, crowds);
    const { pid } = crowd;
    guard.stopped(pid);
    crowd.signal("SIGSTOP");
    try {
      await hold(200, 12_000);
    } finally {
      crowd.signal("SIGCONT");
      guard.continued(pid);
    }
    return { target: `callers of ${crowd.namespace}`, pid };
  },
};
