import { choose } from "../workload/choices.ts";
import type { Fault } from "./fault.ts";

/** The callers and followers of a namespace are killed with SIGKILL, in the middle of their calls. Others take their place. */
export const callersKill: Fault = {
  name: "callers-kill",
  lane: "callers",
  isPossible: () => true,
  async inject({ crowds, random }) {
    const crowd = choose(random, crowds);
    const { pid } = crowd;
    await crowd.replace();
    return { target: `callers of ${crowd.namespace}`, pid };
  },
};
