import type { TaskStatus } from "../domain/task.ts";
import type { GetEventsResponse, StreamEventsResponse } from "../gen/spool/v1/task_service_pb.ts";
import type { SpoolEvent } from "./event-types.ts";
import { readStatus } from "./status.ts";

/** What a follower is sent at once: events, or none in a heartbeat and in the first frame of a tape without any. */
export interface Frame {
  events: readonly SpoolEvent[];
  /** The seq of the last event on the tape when the frame was made. */
  lastSeq: bigint;
  /** The task's status in the same snapshot. */
  status: TaskStatus;
}

/** One page of a tape, of one snapshot. */
export interface EventPage extends Frame {
  taskId: string;
  /** The seq after the last event of the page; without one, the seq that was asked for. */
  nextFromSeq: bigint;
  /** Whether there is a stored event at or past nextFromSeq. */
  hasMore: boolean;
}

/** A message that carries a stretch of a tape, with its events read and not in it. */
export interface TapeAnswer<Message> {
  message: Message;
  events: SpoolEvent[];
}

/** @throws SpoolRpcError (DATA_LOSS) for a status that is not known here */
export function readTapeFrame({
  message,
  events,
}: TapeAnswer<Pick<StreamEventsResponse, "lastSeq" | "status">>): Frame {
  return { events, lastSeq: message.lastSeq, status: readStatus(message.status) };
}

/** @throws SpoolRpcError (DATA_LOSS) for a status that is not known here */
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
