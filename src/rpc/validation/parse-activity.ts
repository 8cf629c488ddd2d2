import type { ActivityQuery } from "../../domain/activity.ts";
import {
  ACTIVITY_STEP_MS_MIN,
  ACTIVITY_STEPS_DEFAULT,
  ACTIVITY_STEPS_MAX,
  ACTIVITY_WINDOW_MS_DEFAULT,
  ACTIVITY_WINDOW_MS_MAX,
  ACTIVITY_WINDOW_MS_MIN,
} from "../../domain/limits.ts";
import type { GetActivityRequest } from "../../gen/spool/v1/task_service_pb.ts";
import { Checks } from "./checks.ts";
import { kinds } from "./parse.ts";

export function parseGetActivity(request: GetActivityRequest): ActivityQuery {
  const checks = new Checks();
  const { window, step } = request;
  const wanted = {
    windowMs: window
      ? checks.duration("window", window, [ACTIVITY_WINDOW_MS_MIN, ACTIVITY_WINDOW_MS_MAX])
      : ACTIVITY_WINDOW_MS_DEFAULT,
    kinds: kinds(checks, request.kinds),
  };
  const { windowMs } = checks.passed(wanted); // The bounds of a step depend on a valid window.
  const stepMsMin = Math.max(ACTIVITY_STEP_MS_MIN, Math.ceil(windowMs / ACTIVITY_STEPS_MAX));
  const stepMs = step
    ? checks.duration("step", step, [stepMsMin, windowMs])
    : Math.max(stepMsMin, Math.ceil(windowMs / ACTIVITY_STEPS_DEFAULT));
  return checks.passed({ ...wanted, stepMs });
}
