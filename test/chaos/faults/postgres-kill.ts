import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

/** All processes of a Postgres server are killed with SIGKILL. It recovers from what it had flushed of its log. */
export const postgresKill = faultOfService({
  name: "postgres-kill",
  lane: "databases",
  async inject({ databases }, { random, hold }) {
    const { name, scene } = choose(random, databases);
    await scene.server.kill();
    try {
      await hold(0, 3_000);
    } finally {
      await scene.server.start();
    }
    return { target: name };
  },
});
