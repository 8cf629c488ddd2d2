import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

/** A server is stopped with SIGSTOP, for longer than its lease at times, and continues. */
export const serverPause = faultOfService({
  name: "server-pause",
  lane: "servers",
  async inject({ servers, guard }, { random, hold }) {
    const { name, replica } = choose(random, servers);
    const { pid } = replica;
    if (pid === null) return null;
    guard.stopped(pid);
    replica.signal("SIGSTOP");
    try {
      await hold(200, 15_000);
    } finally {
      replica.signal("SIGCONT");
      guard.continued(pid);
    }
    return { target: name, pid };
  },
});
