import { setTimeout } from "node:timers/promises";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const CUT_EVERY_MS = 200;
const CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'spool listener'";

/** The connections that listen are cut again and again, so that notifications get lost. */
export const lostNotify = faultOfService({
  name: "lost-notify",
  lane: "databases",
  async inject({ databases }, { random, hold }) {
    const { name, scene } = choose(random, databases);
    const healed = new AbortController();
    const cutting = (async () => {
      while (!healed.signal.aborted) {
        await scene.operate(CUT);
        await setTimeout(CUT_EVERY_MS);
      }
    })();
    try {
      await hold(1_000, 6_000);
    } finally {
      healed.abort();
      await cutting;
    }
    return { target: name };
  },
});
