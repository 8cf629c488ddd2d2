import { setTimeout } from "node:timers/promises";
import type { SpoolClient } from "../../../src/client/client.ts";
import type { SeededRandom } from "../../fault/support/random.ts";
import type { View } from "../history.ts";
import type { Recorder } from "../recorder.ts";
import { between, chance, choose } from "./choices.ts";
import { refusalOf, seenEvent } from "./seen-event.ts";

const LEAVE_SHARE = 0.02;
const AWAY_MS_MAX = 2_000;
const RETRY_MS = 200;
const FROM_START_SHARE = 0.7;
const FIRST_SEQ_MAX = 20;
/** Reasons after which a tape cannot be followed on. */
const LAST_REASONS = new Set(["TASK_NOT_FOUND", "TASK_EXPIRED", "INVALID_ARGUMENT", "SEQ_OUT_OF_RANGE"]);

export interface TapeFollowerParts {
  name: string;
  namespace: string;
  taskId: string;
  clients: readonly SpoolClient[];
  recorder: Recorder;
  random: SeededRandom;
  /** Makes the follower leave for good. */
  signal: AbortSignal;
}

/** Follows a tape to its end. Leaves now and then, and comes back over any way with the next seq. */
export async function followTape(parts: TapeFollowerParts): Promise<void> {
  const { name: follower, namespace, taskId, clients, recorder, random, signal } = parts;
  const view: View = choose(random, ["recorded", "folded"]);
  let fromSeq = chance(random, FROM_START_SHARE) ? 1 : Math.floor(between(random, 1, FIRST_SEQ_MAX));
  while (!signal.aborted) {
    const leaving = new AbortController();
    const client = choose(random, clients);
    recorder.write({ type: "opened", follower, namespace, taskId, fromSeq, view });
    try {
      const options = { signal: AbortSignal.any([signal, leaving.signal]) };
      for await (const event of client.follow({ taskId, fromSeq: BigInt(fromSeq), view }, options)) {
        const { type, ...seen } = seenEvent(event);
        recorder.write({ type: "event", follower, taskId, eventType: type, ...seen });
        fromSeq = Number(event.seq) + 1;
        if (type !== "final" && chance(random, LEAVE_SHARE)) leaving.abort();
      }
      recorder.write({ type: "ended", follower, taskId, reason: "final" });
      return;
    } catch (error) {
      if (leaving.signal.aborted || signal.aborted) {
        recorder.write({ type: "ended", follower, taskId, reason: "left" });
        await setTimeout(between(random, 0, AWAY_MS_MAX), undefined, { signal }).catch(() => {});
        continue;
      }
      const refusal = refusalOf(error);
      recorder.write({ type: "ended", follower, taskId, reason: "failed", error: refusal });
      if (refusal.code === "DATA_LOSS" || LAST_REASONS.has(refusal.reason ?? "")) return;
      await setTimeout(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
}
