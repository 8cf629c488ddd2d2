import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { readTasksFrame } from "../../codec/followed-tasks.ts";
import { followTasks as followOverLosses } from "../../client/follow/follow-tasks.ts";
import type { TasksFrame } from "../../client/types.ts";
import { FollowView } from "../../gen/spool/v1/task_service_pb.ts";
import { HEARTBEAT_MS, streamed, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import type { TaskFilter } from "../route.ts";

/** How long the server collects changes. Faster updates would not be visible, and would cost more. */
const INTERVAL_MS = 500;

/**
 * Follows the state of all tasks with the given kinds and labels, and reconnects after failures without missing a
 * change. The first frame comes at once. @throws errors that a retry does not solve
 */
export function followTasks(
  { kinds, labels }: Pick<TaskFilter, "kinds" | "labels">,
  signal: AbortSignal,
): AsyncIterable<TasksFrame> {
  async function* openStream(cursor: string): AsyncGenerator<TasksFrame, void, undefined> {
    const request = {
      kinds: [...kinds],
      labels: { ...labels },
      view: FollowView.TASKS,
      cursor,
      interval: durationFromMs(INTERVAL_MS),
      heartbeatInterval: durationFromMs(HEARTBEAT_MS),
    };
    const open = (over: AbortSignal) => taskCalls.followTasks(request, { signal: over });
    for await (const frame of streamed(open, signal)) {
      connection.value = "live";
      yield readTasksFrame(frame);
    }
  }
  const onReconnect = ({ state }: { state: "lost" | "resumed" }) => {
    connection.value = state === "lost" ? "lost" : "live";
  };
  return followOverLosses(openStream, { cursor: "", retryMs: Infinity, onReconnect, signal });
}
