import { choose } from "../workload/choices.ts";
import type { Fault } from "./fault.ts";
import { pause } from "./pause.ts";

/** The callers and followers of a namespace are stopped with SIGSTOP: they read nothing of their streams for a while. */
export const callersPause: Fault = {
  name: "callers-pause",
  lane: "callers",
  isPossible: () => true,
  async inject({ crowds, guard, random, hold }) {
    const crowd = choose(random, crowds);
    const { pid } = crowd;
    await pause({ pid, signal: (name) => crowd.signal(name) }, guard, () => hold(200, 12_000));
    return { target: `callers of ${crowd.namespace}`, pid };
  },
};
