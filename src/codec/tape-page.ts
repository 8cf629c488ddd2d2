import type { TaskStatus } from "../domain/task.ts";
import type { GetEventsResponse, StreamEventsResponse } from "../gen/spool/v1/task_service_pb.ts";
import type { SpoolEvent } from "./event-types.ts";
import { readStatus } from "./status.ts";

/** A frame of a stream: events, or none in a heartbeat and in the first frame of an empty tape. */
export interface Frame {
  events: readonly SpoolEvent[];
  /** The last seq of the tape when the frame was created. */
  lastSeq: bigint;
  /** The task's status in the same snapshot. */
  status: TaskStatus;
}

/** One page of a tape, from one snapshot. */
export interface EventPage extends Frame {
  taskId: string;
  /** The seq after the last event of the page. For an empty page: the requested seq. */
  nextFromSeq: bigint;
  /** Whether an event at or past nextFromSeq is stored. */
  hasMore: boolean;
}

/** A message with events, and its decoded events, which the message itself no longer has. */
export interface TapeAnswer<Message> {
  message: Message;
  events: SpoolEvent[];
}

/** @throws SpoolRpcError (DATA_LOSS) for an unknown status */
export function readTapeFrame({
  message,
  events,
}: TapeAnswer<Pick<StreamEventsResponse, "lastSeq" | "status">>): Frame {
  return { events, lastSeq: message.lastSeq, status: readStatus(message.status) };
}

/** @throws SpoolRpcError (DATA_LOSS) for an unknown status */
export function readEventPage({ message, events }: TapeAnswer<GetEventsResponse>): EventPage {
  return {
    taskId: message.taskId,
    events,
    nextFromSeq: message.nextFromSeq,
    lastSeq: message.lastSeq,
    status: readStatus(message.status),
    hasMore: message.hasMore,
  };
}
