import { INTERVAL_MS_DEFAULT, INTERVAL_MS_MAX } from "../../domain/limits.ts";
import type { FollowTasksQuery } from "../../engine/api/task-engine.ts";
import { FollowView } from "../../gen/spool/v1/task_service_pb.ts";
import type { FollowTasksRequest } from "../../gen/spool/v1/task_service_pb.ts";
import { Checks } from "./checks.ts";
import { decodeCursor } from "../codec/follow-cursor.ts";
import { heartbeatMs, kinds } from "./parse.ts";

const VIEWS = new Map<FollowView, FollowTasksQuery["view"]>([
  [FollowView.UNSPECIFIED, "events"],
  [FollowView.EVENTS, "events"],
  [FollowView.TASKS, "tasks"],
]);

/** @throws InvalidArgument with a violation for each field that is out of its bounds */
export function parseFollowTasks(request: FollowTasksRequest): FollowTasksQuery {
  const checks = new Checks();
  const view = VIEWS.get(request.view);
  if (view === undefined) checks.refuse("view", "must be EVENTS or TASKS");
  const scope = {
    kinds: kinds(checks, request.kinds),
    labels: checks.labels(request.labels),
    view: view ?? "events",
  };
  checks.passed(scope); // A cursor can only be checked with a valid scope.
  const cursor = request.cursor === "" ? null : decodeCursor(request.cursor, scope);
  if (request.cursor !== "" && cursor === null) {
    checks.refuse("cursor", "must be a next_cursor of a stream with the same filter and view");
  }
  if (request.cursor !== "" && request.fromStart) checks.refuse("from_start", "must not be set together with a cursor");
  const { interval } = request;
  return checks.passed({
    ...scope,
    cursor,
    fromStart: request.fromStart,
    heartbeatMs: heartbeatMs(checks, request),
    intervalMs: interval
      ? checks.duration("interval", interval, [0, INTERVAL_MS_MAX])
      : INTERVAL_MS_DEFAULT[scope.view],
  });
}
