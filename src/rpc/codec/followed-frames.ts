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

/** The part of a task that one frame carries. */
interface Piece {
  task: FollowedTask;
  /** The encoded message. */
  bytes: Buffer;
}

/** Splits a page into frames of at most FRAME_BYTES_MAX, each with the cursor that resumes after it. */
export function* cutFollowedPage(page: FollowedPage, scope: FollowScope): Generator<FollowTasksResponse> {
  let frame: Piece[] = [];
  let room = FRAME_BYTES_MAX;
  for (const task of page.tasks) {
    for (let left: FollowedTask | null = task; left !== null;) {
      const { piece, rest } = cutTask(left, room);
      if (frame.length > 0 && piece.bytes.length > room) {
        // A part that does not fit starts a new frame, where more of the task may fit.
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

/** Splits the news of a task into a part that fits, with at least one event, and the rest. */
function cutTask(task: FollowedTask, room: number): { piece: Piece; rest: FollowedTask | null } {
  if (task.state !== null) return { piece: { task, bytes: encode(toMessage(task), Buffer.alloc(0)) }, rest: null };
  const { count, bytes } = encodeEvents(task.events, room);
  const part = { ...task, events: task.events.slice(0, count) };
  const rest = count < task.events.length ? { ...task, events: task.events.slice(count) } : null;
  return { piece: { task: part, bytes: encode(toMessage({ ...task, events: [] }), bytes) }, rest };
}

/** @param events the encoded field `events` */
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
