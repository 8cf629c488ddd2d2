import { setTimeout } from "node:timers/promises";
import type { SentStart } from "./board.ts";
import { between, chance, choose, chooseWeighted } from "./choices.ts";
import { planStart } from "./planned-start.ts";
import type { KindsOfNamespace } from "./planned-start.ts";
import { RecordedCalls } from "./recorded-calls.ts";
import type { CallerParts } from "./recorded-calls.ts";

const WEIGHTS = { start: 42, repeat: 6, read: 12, page: 14, result: 8, cancel: 8, delete: 5, list: 2, leave: 3 };
const TWIN_SHARE = 0.15;
const FOLLOWED_SHARE = 0.2;
/** How often a start without an answer is sent again at once. After that, it may be repeated later. */
const RETRIES_MAX = 3;
const RETRY_MS = 200;
const PAUSE_MS_MAX = 450;
const WAIT_MS_MAX = 3_000;
const LIMIT_MAX = 60;
const SEQ_MAX = 80;
/** A caller that leaves abandons a call after so long. */
const LEAVE_MS_MAX = 50;

/** What a caller does besides its own calls. */
export interface CallerHooks {
  kinds: KindsOfNamespace;
  /** Follows the tape of a task, if there is room for another follower. */
  follow: (taskId: string) => void;
}

/** Starts, reads, cancels and deletes tasks of one namespace, one call after the other, until the signal fires. */
export async function runCaller(parts: CallerParts, { kinds, follow }: CallerHooks, over: AbortSignal): Promise<void> {
  const { random, board, recorder, run } = parts;
  const calls = new RecordedCalls(parts);
  const twin = new RecordedCalls({ ...parts, name: `${parts.name}-twin` });
  // Each start without an answer was perhaps stored. Sent again, it must find its task.
  const untilAnswered = async (start: SentStart, by: RecordedCalls) => {
    for (let retry = 0; retry <= RETRIES_MAX && !over.aborted; retry++) {
      const taskId = await by.start(start);
      if (taskId !== null) return taskId;
      await setTimeout(RETRY_MS);
    }
    return null;
  };

  async function start(): Promise<void> {
    const planned = planStart(random, kinds, run);
    const { request, runInMs, deadlineInMs } = planned;
    const sent: SentStart = { planned, request: { ...request } };
    if (runInMs !== undefined) {
      sent.request.runAt = new Date(Date.now() + runInMs);
      sent.runAt = recorder.now() + runInMs;
    }
    if (deadlineInMs !== undefined) {
      sent.request.deadlineAt = new Date(Date.now() + deadlineInMs);
      sent.deadlineAt = recorder.now() + deadlineInMs;
    }
    board.starts.push(sent);
    const isTwin = chance(random, TWIN_SHARE);
    const [taskId] = await Promise.all([untilAnswered(sent, calls), isTwin && untilAnswered(sent, twin)]);
    if (taskId !== null && chance(random, FOLLOWED_SHARE)) follow(taskId);
  }

  async function onTask(action: "read" | "page" | "result" | "cancel" | "delete"): Promise<void> {
    const task = board.pick(random, action === "delete" ? ({ isEnded }) => isEnded : undefined);
    if (task === undefined) return;
    const { taskId } = task;
    switch (action) {
      case "read":
        await calls.read(taskId);
        return;
      case "page":
        return calls.page(taskId, {
          fromSeq: chance(random, 0.4) ? 1 : Math.floor(between(random, 0, SEQ_MAX)),
          view: choose(random, ["recorded", "folded"]),
          limit: Math.floor(between(random, 1, LIMIT_MAX)),
          waitMs: chance(random, 0.3) ? Math.floor(between(random, 0, WAIT_MS_MAX)) : 0,
        });
      case "result":
        return calls.result(taskId, chance(random, 0.5) ? Math.floor(between(random, 0, WAIT_MS_MAX)) : 0);
      case "cancel":
        return calls.cancel(taskId);
      case "delete":
        return calls.delete(taskId);
    }
  }

  /** Abandons a call in its middle. Whether a start was stored is then unknown, and its repetition finds out. */
  async function leave(): Promise<void> {
    const sent = board.pickStart(random);
    if (sent === undefined) return;
    const signal = AbortSignal.any([parts.signal, AbortSignal.timeout(Math.round(between(random, 0, LEAVE_MS_MAX)))]);
    const leaver = new RecordedCalls({ ...parts, name: `${parts.name}-leaver`, signal });
    await leaver.start(sent);
  }

  while (!over.aborted) {
    const action = chooseWeighted(random, WEIGHTS);
    if (action === "start") await start();
    else if (action === "leave") await leave();
    else if (action === "list") await calls.list(randomFilter());
    else if (action === "repeat") {
      const sent = board.pickStart(random);
      if (sent !== undefined) await calls.start(sent);
    } else await onTask(action);
    await setTimeout(between(random, 0, PAUSE_MS_MAX));
  }

  function randomFilter() {
    if (chance(random, 0.5)) return {};
    return chance(random, 0.5) ? { statuses: ["pending" as const, "running" as const] } : { kinds: ["echo"] };
  }
}
