import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

/** A Postgres server is shut down in order, and started again. */
export const postgresRestart = faultOfService({
  name: "postgres-restart",
  lane: "databases",
  async inject({ databases }, { random, hold }) {
    const { name, scene } = choose(random, databases);
    await scene.server.stop();
    try {
      await hold(0, 1_500);
    } finally {
      await scene.server.start();
    }
    return { target: name };
  },
});
