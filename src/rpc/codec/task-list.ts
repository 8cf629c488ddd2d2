import { setImmediate } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import pLimit from "p-limit";
import type { TaskView } from "../../engine/api/task-engine.ts";
import { ListTasksResponseSchema } from "../../gen/spool/v1/task_service_pb.ts";
import { TaskSchema } from "../../gen/spool/v1/task_pb.ts";
import { ProtobufWriter } from "../../codec/protobuf-writer.ts";
import { toTaskMessage } from "../../codec/task.ts";

const TASKS = ListTasksResponseSchema.field.tasks.number;
/** How many tasks are encoded at a time, in about a millisecond. Then other work of the event loop runs. */
const PIECE = 25;

/** Per turn of the event loop, one of all pages continues. */
const inTurn = pLimit(1);

/**
 * Encodes a page of tasks, a few at a time, so that the server is not blocked.
 *
 * @returns the first tasks that fit into bytesMax (a single task is far below it), and their encoding as the field
 *   `tasks`
 */
export async function encodeTasks(
  tasks: readonly TaskView[],
  bytesMax: number,
): Promise<{ tasks: TaskView[]; encoded: Buffer }> {
  const pieces: Buffer[] = [];
  const kept: TaskView[] = [];
  let bytes = 0;
  for (let start = 0; start < tasks.length; start += PIECE) {
    const encode = () => encodePiece(tasks.slice(start, start + PIECE), bytesMax - bytes);
    const piece = tasks.length > PIECE ? await inTurn(() => setImmediate().then(encode)) : encode();
    pieces.push(piece.encoded);
    kept.push(...piece.tasks);
    bytes += piece.encoded.length;
    if (kept.length < start + PIECE) break;
  }
  return { tasks: kept, encoded: Buffer.concat(pieces) };
}

const writer = new ProtobufWriter();

function encodePiece(tasks: readonly TaskView[], bytesMax: number): { tasks: TaskView[]; encoded: Buffer } {
  try {
    let length = 0;
    let count = 0;
    for (const task of tasks) {
      writer.bytes(TASKS, toBinary(TaskSchema, toTaskMessage(task)));
      if (writer.length > bytesMax) break;
      length = writer.length;
      count++;
    }
    return { tasks: tasks.slice(0, count), encoded: writer.copy(length) };
  } finally {
    writer.clear();
  }
}
