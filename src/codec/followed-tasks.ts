import type { TaskView } from "../domain/task.ts";
import type { FollowedTask as FollowedTaskMessage, FollowTasksResponse } from "../gen/spool/v1/task_service_pb.ts";
import { fromEventMessage, fromProgressMessage } from "./event.ts";
import type { Progress, SpoolEvent } from "./event-types.ts";
import { fromTaskMessage } from "./task.ts";

/** What is new of one task among many. */
export interface FollowedTask {
  taskId: string;
  kind: string;
  /** View `events`: in order, each once over all frames. */
  events: readonly SpoolEvent[];
  /** View `tasks`: as it stands, without its params; null in that of events. */
  task: TaskView | null;
  /** View `tasks`: the latest progress of a running task, null where it has none near the end of its tape. */
  progress: Progress | null;
}

/** What a follower of many tasks is sent at once: news of some, each at most once, or of none in a heartbeat. */
export interface TasksFrame {
  tasks: readonly FollowedTask[];
  /** What to come back with, once the frame has been dealt with. */
  cursor: string;
}

/** @throws SpoolRpcError (DATA_LOSS) for what holds no whole task or event */
export function readTasksFrame({ tasks, nextCursor }: FollowTasksResponse): TasksFrame {
  return { tasks: tasks.map(fromFollowedTask), cursor: nextCursor };
}

function fromFollowedTask({ taskId, kind, events, task, progress }: FollowedTaskMessage): FollowedTask {
  const state = {
    task: task ? fromTaskMessage(task) : null,
    progress: progress ? fromProgressMessage(progress) : null,
  };
  return { taskId, kind, events: events.map(fromEventMessage), ...state };
}
