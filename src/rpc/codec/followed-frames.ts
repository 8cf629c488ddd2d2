import { create, toBinary } from "@bufbuild/protobuf";
import { FRAME_BYTES_MAX } from "../../domain/limits.ts";
import { cursorAfter } from "../../engine/read/change-scan.ts";
import type { FollowedPage, FollowedTask } from "../../engine/api/task-engine.ts";
import { FollowedTaskSchema, FollowTasksResponseSchema } from "../../gen/spool/v1/task_service_pb.ts";
import type { FollowedTask as FollowedTaskMessage, FollowTasksResponse } from "../../gen/spool/v1/task_service_pb.ts";
import { ProtobufWriter } from "../../codec/protobuf-writer.ts";
import { toTaskMessage } from "../../codec/task.ts";
import { encodeEvents } from "../../codec/event-encoding.ts";
import { toEventMessage, toProgressMessage } from "../../codec/event.ts";
import { encodeCursor } from "./follow-cursor.ts";
import type { FollowScope } from "./follow-cursor.ts";
import { lazyMessage } from "./tape-message.ts";

/** `repeated FollowedTask tasks = 1` of FollowTasksResponse. */
const TASKS = 1;
const writer = new ProtobufWriter();

/** As much of a task as one frame carries. */
interface Piece {
  task: FollowedTask;
  /** Of the message. */
  bytes: Buffer;
}

/** A page as the frames of a stream, FRAME_BYTES_MAX each, and each with the cursor of who has dealt with it. */
export function* cutFollowedPage(page: FollowedPage, scope: FollowScope): Generator<FollowTasksResponse> {
  let frame: Piece[] = [];
  let room = FRAME_BYTES_MAX;
  for (const task of page.tasks) {
    for (let left: FollowedTask | null = task; left !== null;) {
      const { piece, rest } = cutTask(left, room);
      if (frame.length > 0 && piece.bytes.length > room) {
        // What does not fit begins a frame of its own, and more of it may fit there.
        yield toFrame(frame, encodeCursor(cursorAfter(page, frame.at(-1)!.task), scope));
        frame = [];
        room = FRAME_BYTES_MAX;
        continue;
      }
      frame.push(piece);
      room -= piece.bytes.length;
      left = rest;
    }
  }
  yield toFrame(frame, encodeCursor(page.cursor, scope));
}

/** The start of what is new of a task, as much as there is room for, but one event at least, and what is left of it. */
function cutTask(task: FollowedTask, room: number): { piece: Piece; rest: FollowedTask | null } {
  if (task.state !== null) return { piece: { task, bytes: encode(toMessage(task), Buffer.alloc(0)) }, rest: null };
  const { count, bytes } = encodeEvents(task.events, room);
  const part = { ...task, events: task.events.slice(0, count) };
  const rest = count < task.events.length ? { ...task, events: task.events.slice(count) } : null;
  return { piece: { task: part, bytes: encode(toMessage({ ...task, events: [] }), bytes) }, rest };
}

/** @param events the field `events`, encoded */
function encode(message: FollowedTaskMessage, events: Buffer): Buffer {
  return Buffer.concat([events, toBinary(FollowedTaskSchema, message)]);
}

function toFrame(pieces: readonly Piece[], nextCursor: string): FollowTasksResponse {
  const rest = create(FollowTasksResponseSchema, { nextCursor });
  for (const { bytes } of pieces) writer.bytes(TASKS, bytes);
  const encoded = writer.copy(writer.length);
  writer.clear();
  return lazyMessage(FollowTasksResponseSchema, rest, {
    field: "tasks",
    convert: () => pieces.map(({ task }) => toMessage(task)),
    encoded,
  });
}

function toMessage({ taskId, kind, events, state }: FollowedTask): FollowedTaskMessage {
  const { task, progress = null } = state ?? {};
  return create(FollowedTaskSchema, {
    taskId,
    kind,
    events: events.map(toEventMessage),
    ...(task && { task: toTaskMessage(task) }),
    ...(progress && { progress: toProgressMessage(progress) }),
  });
}
