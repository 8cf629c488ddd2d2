import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Activity, Durations, KindActivity } from "../domain/activity.ts";
import type {
  ActivityStep as StepMessage,
  GetActivityResponse,
  KindActivity as KindMessage,
} from "../gen/spool/v1/task_service_pb.ts";
import { toDate } from "./convert.ts";
import { brokenPromise } from "./errors.ts";

export function toActivity({ steps, kinds, step }: GetActivityResponse): Activity {
  if (!step) throw brokenPromise("the answer holds no step");
  return {
    steps: steps.map((message) => ({
      start: toDate(message.start, "start"),
      started: Number(message.started),
      running: Number(message.running),
      ...toEnded(message),
    })),
    stepMs: exactMs(step),
    kinds: kinds.map(toKind),
  };
}

function toKind(message: KindMessage): KindActivity {
  const { kind, pending, running } = message;
  const now = { pending: Number(pending), running: Number(running) };
  return { kind, ...now, ...toEnded(message), durations: toDurations(message) };
}

function toEnded({ succeeded, failed, cancelled }: StepMessage | KindMessage) {
  return { succeeded: Number(succeeded), failed: Number(failed), cancelled: Number(cancelled) };
}

function toDurations({ durationP50, durationP95 }: KindMessage): Durations | null {
  return durationP50 && durationP95 ? { p50Ms: exactMs(durationP50), p95Ms: exactMs(durationP95) } : null;
}

/** With its fractions of a millisecond, which many a short task is done within. */
function exactMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1_000_000;
}
