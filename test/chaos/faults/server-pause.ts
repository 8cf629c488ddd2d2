import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";
import { pause } from "./pause.ts";

/** A server is stopped with SIGSTOP, for longer than its lease at times, and continues. */
export const serverPause = faultOfService({
  name: "server-pause",
  lane: "servers",
  async inject({ servers, guard }, { random, hold }) {
    const { name: target, replica } = choose(random, servers);
    const { pid } = replica;
    if (pid === null) return null;
    await pause({ pid, signal: (name) => replica.signal(name) }, guard, () => hold(200, 15_000));
    return { target, pid };
  },
});
