import { setTimeout } from "node:timers/promises";
import type { SpoolClient, SpoolEvent, StartRequest } from "../../../src/client/client.ts";
import { callAnywhere, isAway, RETRY_MS } from "./anywhere.ts";
import { followAnywhere } from "./followers.ts";
import type { Followed } from "./followers.ts";
import { exclusive, flaky, resumable, steps } from "./kinds.ts";
import { inParallel, pick } from "./scenario.ts";
import type { Findings } from "./scenario.ts";
import { plannedTask } from "./worker-tasks.ts";

// The calls of the scenario mixed-versions, which clients of two releases make at servers of both.

/** The clients of the scenario, by release. Each has one for each server. They do not try again by themselves. */
export interface MixedClients {
  previous: readonly SpoolClient[];
  current: readonly SpoolClient[];
}

export const SERVER_TASKS = { label: { runs: "at servers" }, prefix: "server-" };

const ATTEMPTS_MANY = 100;
const AT_ONCE = 60;
const EXCLUSIVE_KEYS = 10;
/** A task is cancelled once it has so many events. */
const CANCEL_AT_SEQ = 5n;
/** One in so many tasks is started by RunTask, which follows it, too. */
const RUN_EVERY = 5;
const FOLLOWED_EVERY = 3;
/** A follower of all tasks goes to another client after so many frames. */
const FRAMES_EACH = 25;

/** Returns the nth task that servers run. @param untilFile a task that lasts ends when there is this file */
function serverRequest(
  index: number,
  untilFile: string,
): { request: StartRequest & { requestId: string }; isCancelled: boolean } {
  const common = {
    requestId: `${SERVER_TASKS.prefix}${index}`,
    labels: SERVER_TASKS.label,
    maxAttempts: ATTEMPTS_MANY,
    retry: { initialBackoffMs: 200, maxBackoffMs: 1_000 },
  };
  const isCancelled = index % 10 === 0;
  switch (index % 10) {
    case 0:
      return { request: { ...common, kind: steps.name, params: { events: 2_000, every_ms: 50 } }, isCancelled };
    case 1:
      return { request: { ...common, kind: flaky.name, params: { events: 3, failing_attempts: 2 } }, isCancelled };
    case 2: // Fails for good.
      return {
        request: {
          ...common,
          kind: flaky.name,
          params: { events: 3, failing_attempts: ATTEMPTS_MANY },
          maxAttempts: 2,
        },
        isCancelled,
      };
    case 3: {
      const params = { key: `key-${index % EXCLUSIVE_KEYS}`, events: 3, every_ms: 20 };
      return { request: { ...common, kind: exclusive.name, params }, isCancelled };
    }
    case 4:
    case 5: // Handed over by a server that stops in order.
      return {
        request: { ...common, kind: resumable.name, params: { every_ms: 50, until_file: untilFile } },
        isCancelled,
      };
    case 6:
      return { request: { ...common, kind: steps.name, params: { events: 100, every_ms: 0 } }, isCancelled };
    default:
      return { request: { ...common, kind: steps.name, params: { events: 30, every_ms: 50 } }, isCancelled };
  }
}

/** Starts tasks that servers run, each by clients of both releases, and follows and cancels some of them. */
export async function startServerTasks(
  clients: MixedClients,
  { total, forMs, untilFile }: { total: number; forMs: number; untilFile: string },
  findings: Findings,
): Promise<Promise<Followed>[]> {
  const all = [...clients.previous, ...clients.current];
  const followers: Promise<Followed>[] = [];
  const startedAt = performance.now();
  await inParallel({ total, atOnce: AT_ONCE }, async (index) => {
    await setTimeout(Math.max(0, startedAt + (forMs * index) / total - performance.now()));
    const { request, isCancelled } = serverRequest(index, untilFile);
    const isRun = index % RUN_EVERY === 0;
    const taskIds = await Promise.all(
      [clients.previous, clients.current].map(async (ofRelease, release) => {
        if (!isRun || release !== index % 2) {
          return (await callAnywhere(ofRelease, (client) => client.start(request))).task.taskId;
        }
        const { task, events } = await callAnywhere(ofRelease, (client) => client.run(request));
        findings.count("tasks run by RunTask");
        followers.push(silenced(readRun(all, task.taskId, events)));
        return task.taskId;
      }),
    );
    findings.expect(new Set(taskIds).size === 1, `${request.requestId} started two tasks`, taskIds);
    const taskId = taskIds[0]!;
    if (index % FOLLOWED_EVERY === 0) followers.push(silenced(followAnywhere(all, taskId)));
    if (isCancelled) await cancelLater(all, taskId, findings);
  });
  return followers;
}

/** Starts the tasks of a crew without Python, and cancels some of them. @returns how many there are */
export async function startWorkerTasks(
  clients: readonly SpoolClient[],
  { total, forMs }: { total: number; forMs: number },
  findings: Findings,
): Promise<number> {
  const planned = Array.from({ length: total }, (_, index) => plannedTask(index));
  const ours = planned.filter(({ request }) => !request.kind.startsWith("python-"));
  const startedAt = performance.now();
  await inParallel({ total: ours.length, atOnce: AT_ONCE }, async (index) => {
    await setTimeout(Math.max(0, startedAt + (forMs * index) / ours.length - performance.now()));
    const { request, isCancelled } = ours[index]!;
    const { task } = await callAnywhere(clients, (client) => client.start(request));
    if (isCancelled) await cancelLater(clients, task.taskId, findings);
  });
  return ours.length;
}

/** Cancels a task once it runs, by any client. */
async function cancelLater(clients: readonly SpoolClient[], taskId: string, findings: Findings): Promise<void> {
  await callAnywhere(clients, async (client) => {
    for await (const { seq } of client.follow({ taskId })) if (seq >= CANCEL_AT_SEQ) break;
  });
  const { outcome } = await callAnywhere(clients, (client) => client.cancel({ taskId }));
  findings.count(`cancels answered ${outcome}`);
}

/** Reads the events of RunTask, and follows on elsewhere if its server goes. */
async function readRun(
  clients: readonly SpoolClient[],
  taskId: string,
  events: AsyncIterable<SpoolEvent>,
): Promise<Followed> {
  const seen: SpoolEvent[] = [];
  try {
    for await (const event of events) seen.push(event);
  } catch (error) {
    if (!isAway(error)) throw error;
  }
  return followAnywhere(clients, taskId, seen);
}

/** Follows all tasks of servers by one stream after the other, each by another client with the cursor of the last. */
export async function followAll(
  clients: readonly SpoolClient[],
  tapes: Map<string, SpoolEvent[]>,
  { findings, signal }: { findings: Findings; signal: AbortSignal },
): Promise<void> {
  let cursor: string | undefined;
  while (!signal.aborted) {
    try {
      let frames = 0;
      const query = { labels: SERVER_TASKS.label, cursor, fromStart: cursor === undefined };
      for await (const frame of pick(clients).followTasks(query, { signal })) {
        for (const { taskId, events } of frame.tasks) tapes.set(taskId, [...(tapes.get(taskId) ?? []), ...events]);
        cursor = frame.cursor;
        if (++frames === FRAMES_EACH) break;
      }
      findings.count("streams over all tasks, continued at another client");
    } catch (error) {
      if (signal.aborted) break;
      if (!isAway(error)) throw error;
      await setTimeout(RETRY_MS);
    }
  }
}

/** The error is thrown where the promise is awaited, after the last start. */
function silenced<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}
