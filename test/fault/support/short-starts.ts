import { setTimeout } from "node:timers/promises";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient, StartedTask, StartRequest } from "../../../src/client/client.ts";
import type { Backend, Balancer, Entrance } from "./balancer.ts";
import { isAway, RETRY_MS } from "./anywhere.ts";
import { steps } from "./kinds.ts";

const STARTERS = 6;
const START_EVERY_MS = 200;
const STEPS_MAX = 15;
const STEP_MS = 50;
/** Where no server has said how long. */

/** A start of a short task that was answered. */
export interface AnsweredStart {
  requestId: string;
  taskId: string;
  /** Where its tries failed; null: at none. */
  refusedBy: readonly (Backend | null)[];
  /** From the first try to the answer. */
  tookMs: number;
  alreadyStarted: boolean;
}

/** Starts tasks of less than a second by way of a balancer until the signal fires; their request ids begin with `name`. */
export async function startShortTasks(balancer: Balancer, name: string, signal: AbortSignal): Promise<AnsweredStart[]> {
  const answered: AnsweredStart[] = [];
  const startOneByOne = async (starter: number) => {
    const entrance = await balancer.open();
    using client = connect({ address: entrance.address, retryMs: 0 });
    for (let nth = 0; !signal.aborted; nth++) {
      const requestId = `${name} ${starter} ${nth}`;
      const params = { events: nth % (STEPS_MAX + 1), every_ms: STEP_MS };
      const request = { requestId, kind: steps.name, params, maxAttempts: nth % 2 === 0 ? 1 : 3 };
      const sentAt = performance.now();
      const { task, alreadyStarted, refusedBy } = await startAsOftenAsItTakes(client, entrance, request);
      const tookMs = performance.now() - sentAt;
      answered.push({ requestId, taskId: task.taskId, refusedBy, tookMs, alreadyStarted });
      await setTimeout(START_EVERY_MS, undefined, { signal }).catch(() => {}); // The pace of the load.
    }
  };
  await Promise.all(Array.from({ length: STARTERS }, (_, starter) => startOneByOne(starter)));
  return answered;
}

/** @param client that does not try again by itself, so that its tries can be counted */
async function startAsOftenAsItTakes(
  client: SpoolClient,
  { connections }: Entrance,
  request: StartRequest,
): Promise<StartedTask & { refusedBy: (Backend | null)[] }> {
  const refusedBy: (Backend | null)[] = [];
  for (;;) {
    try {
      return { ...(await client.start(request)), refusedBy };
    } catch (error) {
      if (!isAway(error)) throw error;
      refusedBy.push(connections.at(-1)?.backend ?? null);
      await setTimeout(error.retryAfterMs ?? RETRY_MS);
    }
  }
}
