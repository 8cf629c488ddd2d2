import { setNamespace } from "../../../src/client/admin/namespace-calls.ts";
import { choose } from "../workload/choices.ts";
import { faultOfService } from "./fault.ts";

const RETRY_MS = 300_000;
/** What callers of a busy namespace exceed at once. */
const LIMITS = [
  { startsPerSecond: 1 },
  { streams: 2 },
  { pendingTasks: 1 },
  { runningTasks: 1 },
  { startsPerSecond: 1, streams: 1, pendingTasks: 1, runningTasks: 1 },
] as const;

/** The callers of a namespace are at its limits. */
export const namespaceLimits = faultOfService({
  name: "namespace-limits",
  lane: "namespaces",
  async inject({ admin }, { target, random, hold }) {
    const { name } = choose(random, target.namespaces);
    const limits = choose(random, LIMITS);
    try {
      await setNamespace(admin, { name, limits, retryMs: RETRY_MS });
      await hold(5_000, 10_000);
    } finally {
      await setNamespace(admin, { name, limits: {}, retryMs: RETRY_MS });
    }
    return { target: name, ...limits };
  },
});
