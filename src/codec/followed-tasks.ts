import type { TaskView } from "../domain/task.ts";
import type { FollowedTask as FollowedTaskMessage, FollowTasksResponse } from "../gen/spool/v1/task_service_pb.ts";
import { fromEventMessage, fromProgressMessage } from "./event.ts";
import type { Progress, SpoolEvent } from "./event-types.ts";
import { fromTaskMessage } from "./task.ts";

/** News about one of many tasks. */
export interface FollowedTask {
  taskId: string;
  kind: string;
  /** View `events`: new events in order, each once over all frames. */
  events: readonly SpoolEvent[];
  /** View `tasks`: the current state, without params; null in view `events`. */
  task: TaskView | null;
  /** View `tasks`: the latest progress of a running task; null if there is none near the end of its tape. */
  progress: Progress | null;
}

/** A frame of a stream over many tasks: news about some tasks, each at most once. A heartbeat has none. */
export interface TasksFrame {
  tasks: readonly FollowedTask[];
  /** The cursor that resumes after this frame. Store it after processing the frame. */
  cursor: string;
}

/** @throws SpoolRpcError (DATA_LOSS) if a field of a task or event is missing */
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
