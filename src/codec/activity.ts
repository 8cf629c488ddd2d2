import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Activity, ActivityStep, Durations, EndedTasks, KindActivity } from "../domain/activity.ts";
import { GetActivityResponseSchema } from "../gen/spool/v1/task_service_pb.ts";
import type {
  ActivityStep as StepMessage,
  ActivityStepSchema,
  GetActivityResponse,
  KindActivity as KindMessage,
  KindActivitySchema,
} from "../gen/spool/v1/task_service_pb.ts";
import { brokenPromise } from "./rpc-error.ts";
import { readTime } from "./timestamp.ts";

export function toGetActivityResponse({ steps, stepMs, kinds }: Activity): GetActivityResponse {
  return create(GetActivityResponseSchema, {
    steps: steps.map(stepFields),
    kinds: kinds.map(kindFields),
    step: durationFromMs(stepMs),
  });
}

function stepFields(step: ActivityStep): MessageInitShape<typeof ActivityStepSchema> {
  const { start, started, running } = step;
  return {
    start: timestampFromDate(start),
    started: BigInt(started),
    running: BigInt(running),
    ...endedFields(step),
  };
}

function kindFields(activity: KindActivity): MessageInitShape<typeof KindActivitySchema> {
  const { kind, pending, running, durations } = activity;
  return {
    kind,
    pending: BigInt(pending),
    running: BigInt(running),
    ...endedFields(activity),
    ...(durations && {
      durationP50: microseconds(durations.p50Ms),
      durationP95: microseconds(durations.p95Ms),
    }),
  };
}

function endedFields({ succeeded, failed, cancelled }: EndedTasks) {
  return { succeeded: BigInt(succeeded), failed: BigInt(failed), cancelled: BigInt(cancelled) };
}

/**
 * Returns a duration to the microsecond: short tasks take less than a millisecond, and durationFromMs takes whole ones.
 */
function microseconds(ms: number): MessageInitShape<typeof DurationSchema> {
  const us = Math.round(ms * 1_000);
  return { seconds: BigInt(Math.floor(us / 1_000_000)), nanos: (us % 1_000_000) * 1_000 };
}

/** @throws SpoolRpcError (DATA_LOSS) if a field is missing */
export function fromGetActivityResponse({ steps, kinds, step }: GetActivityResponse): Activity {
  if (!step) throw brokenPromise("the answer has no step");
  return {
    steps: steps.map((message) => ({
      start: readTime(message.start, "start"),
      started: Number(message.started),
      running: Number(message.running),
      ...readEnded(message),
    })),
    stepMs: exactMs(step),
    kinds: kinds.map(readKind),
  };
}

function readKind(message: KindMessage): KindActivity {
  const { kind, pending, running } = message;
  const now = { pending: Number(pending), running: Number(running) };
  return { kind, ...now, ...readEnded(message), durations: readDurations(message) };
}

function readEnded({ succeeded, failed, cancelled }: StepMessage | KindMessage) {
  return { succeeded: Number(succeeded), failed: Number(failed), cancelled: Number(cancelled) };
}

function readDurations({ durationP50, durationP95 }: KindMessage): Durations | null {
  return durationP50 && durationP95 ? { p50Ms: exactMs(durationP50), p95Ms: exactMs(durationP95) } : null;
}

/** Returns milliseconds with their fraction: many short tasks take less than one millisecond. */
function exactMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1_000 + nanos / 1_000_000;
}
