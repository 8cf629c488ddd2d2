import { faultOfService } from "./fault.ts";
import { restartServer } from "./restart-server.ts";

/** All servers are stopped with SIGTERM and started again, one after the other. */
export const rollingRestart = faultOfService({
  name: "rolling-restart",
  lane: "servers",
  async inject({ servers }, { random, over }) {
    const pids: number[] = [];
    for (const server of random.shuffle(servers)) {
      if (over.aborted) break;
      if (server.replica.pid !== null) pids.push(server.replica.pid);
      await server.replica.stop();
      await restartServer(server);
    }
    return { target: "all servers", pids };
  },
});
