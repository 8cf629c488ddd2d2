import { signal } from "@preact/signals";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { pause } from "../../async/pause.ts";
import { fromGetActivityResponse } from "../../codec/activity.ts";
import type { SpoolRpcError } from "../../codec/rpc-error.ts";
import { fromSessionMessage } from "../../codec/session.ts";
import type { Session } from "../../client/types.ts";
import type { Activity as ActivityAnswer, KindActivity } from "../../domain/activity.ts";
import { answeredAtLast, taskCalls, workerCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import { whileVisible } from "../visibility.ts";

/** The polling interval. */
const REFRESH_MS = 5_000;

/** Recent activity. */
export interface Activity {
  /** The start of each step, in seconds since the epoch. */
  readonly times: readonly number[];
  /** Tasks per second, averaged over the step. */
  readonly started: readonly number[];
  readonly succeeded: readonly number[];
  readonly failed: readonly number[];
  readonly cancelled: readonly number[];
  /** Running tasks at the end of the step. */
  readonly running: readonly number[];
  readonly kinds: readonly KindActivity[];
  readonly sessions: readonly Session[];
}

/** Polls the activity within a time window until it is closed. Opens no stream. */
export class ActivityPoll implements Disposable {
  /** null: not read yet. */
  readonly activity = signal<Activity | null>(null);
  readonly error = signal<SpoolRpcError | null>(null);
  readonly #windowMs: number;
  readonly #closed = new AbortController();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
    whileVisible(this.#closed.signal, (signal) => this.#poll(signal)).catch((error: unknown) => {
      if (!this.#closed.signal.aborted) this.error.value = error as SpoolRpcError;
    });
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    connection.value = "idle";
  }

  async #poll(signal: AbortSignal): Promise<void> {
    connection.value = "connecting";
    for (;;) {
      this.activity.value = await answeredAtLast(() => this.#read(signal), signal);
      await pause(REFRESH_MS, signal);
    }
  }

  async #read(signal: AbortSignal): Promise<Activity> {
    const [activity, { sessions }] = await Promise.all([
      taskCalls.getActivity({ window: durationFromMs(this.#windowMs) }, { signal }),
      workerCalls.listSessions({}, { signal }),
    ]);
    const { kinds, ...stepped } = fromGetActivityResponse(activity);
    return { ...toSteps(stepped), kinds, sessions: sessions.map(fromSessionMessage) };
  }
}

function toSteps({ steps, stepMs }: Omit<ActivityAnswer, "kinds">): Omit<Activity, "kinds" | "sessions"> {
  const whole = steps.slice(0, -1); // The last step is not over, so its counts are too low.
  const rate = (of: (step: (typeof steps)[number]) => number) => whole.map((step) => of(step) / (stepMs / 1_000));
  return {
    times: whole.map(({ start }) => start.getTime() / 1_000),
    started: rate(({ started }) => started),
    succeeded: rate(({ succeeded }) => succeeded),
    failed: rate(({ failed }) => failed),
    cancelled: rate(({ cancelled }) => cancelled),
    running: whole.map(({ running }) => running),
  };
}
