import { between, chance } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const STEP_MS_MAX = 120_000;

/** The clock of a server jumps forward or back, and jumps again to the right time. Its timers do not notice. */
export const clockStep = faultOfService({
  name: "clock-step",
  lane: "servers",
  isPossible: ({ clock }) => clock !== null,
  async inject({ clock }, { random, hold }) {
    const stepMs = Math.round(between(random, 1_000, STEP_MS_MAX)) * (chance(random, 0.5) ? 1 : -1);
    clock!.step(stepMs);
    try {
      await hold(2_000, 8_000);
    } finally {
      clock!.step(0);
    }
    return { target: clock!.server, stepMs };
  },
});
