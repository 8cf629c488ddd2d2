import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { SpoolRpcError } from "../../client/errors.ts";
import { Patience } from "../../client/retry.ts";
import { pause } from "../../client/timing.ts";
import { FollowView } from "../../gen/spool/v1/task_service_pb.ts";
import type { FollowTasksResponse } from "../../gen/spool/v1/task_service_pb.ts";
import { HEARTBEAT_MS, streamed, taskCalls } from "../calls.ts";
import { connection } from "../connection.ts";
import type { TaskFilter } from "../route.ts";

/** How long the server gathers what changes: faster is not seen, and costs. */
const INTERVAL_MS = 500;

/**
 * Follows all tasks of some kinds and labels by one stream at a time, over lost connections: what was told of while
 * there was none comes after. The first frame comes at once. Throws what trying again does not mend.
 */
export async function* followTasks(
  { kinds, labels }: Pick<TaskFilter, "kinds" | "labels">,
  signal: AbortSignal,
): AsyncGenerator<FollowTasksResponse, void, undefined> {
  const patience = new Patience(Infinity);
  let cursor = "";
  for (;;) {
    try {
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
        patience.succeeded();
        connection.value = "live";
        yield frame;
        cursor = frame.nextCursor;
      }
      throw new SpoolRpcError("UNAVAILABLE", "the stream has ended");
    } catch (error) {
      signal.throwIfAborted();
      const retryInMs = patience.nextDelayMs(error);
      if (retryInMs === null) throw error;
      connection.value = "lost";
      await pause(retryInMs, signal);
    }
  }
}
