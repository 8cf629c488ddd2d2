import { signal } from "@preact/signals";
import { durationFromMs, durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { toSession } from "../../client/convert.ts";
import type { SpoolRpcError } from "../../client/errors.ts";
import { pause } from "../../async/pause.ts";
import type { Session } from "../../client/types.ts";
import type { GetActivityResponse, KindActivity } from "../../gen/spool/v1/task_service_pb.ts";
import { answeredAtLast, taskCalls, workerCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import { whileVisible } from "../visibility.ts";

/** What has happened is asked for so often. */
const REFRESH_MS = 5_000;

/** What has happened of late. */
export interface Activity {
  /** When each step begins, in seconds of the epoch. */
  readonly times: readonly number[];
  /** A second, over the step. */
  readonly started: readonly number[];
  readonly succeeded: readonly number[];
  readonly failed: readonly number[];
  readonly cancelled: readonly number[];
  /** At the step's end. */
  readonly running: readonly number[];
  readonly kinds: readonly KindFigures[];
  readonly sessions: readonly Session[];
}

export interface KindFigures extends Record<"pending" | "running" | "succeeded" | "failed" | "cancelled", number> {
  readonly kind: string;
  /** In ms; null where no task has ended. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
}

/** What has happened within a window of time, asked for again and again until it is closed. No stream is held. */
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
    return { ...toSteps(activity), kinds: activity.kinds.map(toKindFigures), sessions: sessions.map(toSession) };
  }
}

function toSteps({ steps, step }: GetActivityResponse): Omit<Activity, "kinds" | "sessions"> {
  const stepSeconds = step ? durationMs(step) / 1_000 : 1;
  const whole = steps.slice(0, -1); // The last one is under way: its figures are too small yet.
  const rate = (of: (step: (typeof steps)[number]) => bigint) => whole.map((each) => Number(of(each)) / stepSeconds);
  return {
    times: whole.map(({ start }) => (start ? timestampDate(start).getTime() / 1_000 : 0)),
    started: rate(({ started }) => started),
    succeeded: rate(({ succeeded }) => succeeded),
    failed: rate(({ failed }) => failed),
    cancelled: rate(({ cancelled }) => cancelled),
    running: whole.map(({ running }) => Number(running)),
  };
}

function toKindFigures({ kind, durationP50, durationP95, ...counts }: KindActivity): KindFigures {
  return {
    kind,
    pending: Number(counts.pending),
    running: Number(counts.running),
    succeeded: Number(counts.succeeded),
    failed: Number(counts.failed),
    cancelled: Number(counts.cancelled),
    p50Ms: durationP50 ? durationMs(durationP50) : null,
    p95Ms: durationP95 ? durationMs(durationP95) : null,
  };
}
