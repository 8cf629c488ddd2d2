import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Activity, ActivityStep, EndedTasks, KindActivity } from "../../domain/activity.ts";
import { GetActivityResponseSchema } from "../../gen/spool/v1/task_service_pb.ts";
import type {
  ActivityStepSchema,
  GetActivityResponse,
  KindActivitySchema,
} from "../../gen/spool/v1/task_service_pb.ts";

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

/** Short tasks end within less than a millisecond, and durationFromMs takes whole ones only. */
function microseconds(ms: number): MessageInitShape<typeof DurationSchema> {
  const us = Math.round(ms * 1_000);
  return { seconds: BigInt(Math.floor(us / 1_000_000)), nanos: (us % 1_000_000) * 1_000 };
}
