import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { readTasksFrame } from "../../codec/followed-tasks.ts";
import { followTasks as followOverLosses } from "../../client/follow/follow-tasks.ts";
import type { TasksFrame } from "../../client/types.ts";
import { FollowView } from "../../gen/spool/v1/task_service_pb.ts";
import { HEARTBEAT_MS, streamed, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import type { TaskFilter } from "../route.ts";

/** How long the server gathers what changes: faster is not seen, and costs. */
const INTERVAL_MS = 500;

/**
 * Follows all tasks of some kinds and labels, as they stand, by one stream at a time, over lost connections: what was
 * told of while there was none comes after. The first frame comes at once. Throws what trying again does not mend.
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
