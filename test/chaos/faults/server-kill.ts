import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";
import { restartServer } from "./restart-server.ts";

/** A server is killed with SIGKILL, and started again. */
export const serverKill = faultOfService({
  name: "server-kill",
  lane: "servers",
  async inject({ servers }, { random, hold }) {
    const server = choose(random, servers);
    const pid = server.replica.pid;
    if (pid === null) return null;
    await server.replica.kill();
    try {
      await hold(0, 4_000);
    } finally {
      await restartServer(server);
    }
    return { target: server.name, pid };
  },
});
