import { readTapeFrame } from "../../codec/tape-page.ts";
import { fromTaskMessage } from "../../codec/task.ts";
import type { TapeAnswer } from "../../codec/tape-page.ts";
import { brokenPromise } from "../../codec/rpc-error.ts";
import type { RunTaskResponse } from "../../gen/spool/v1/task_service_pb.ts";
import type { Frame, StartedTask } from "../types.ts";

/** A started task, and the open stream of its tape from the first event. */
export interface OpenRun {
  started: StartedTask;
  frames: AsyncGenerator<Frame, void, undefined>;
}

/**
 * Waits for the first frame of RunTask, which confirms that the task is durable. Leaves the following frames unread.
 */
export async function openRun(stream: AsyncGenerator<TapeAnswer<RunTaskResponse>, void, undefined>): Promise<OpenRun> {
  const { value: opening } = await stream.next();
  if (opening?.message.task === undefined) {
    await stream.return();
    throw brokenPromise("RunTask began without the task");
  }
  const { task, alreadyStarted } = opening.message;
  const started = { task: fromTaskMessage(task), alreadyStarted };
  return { started, frames: framesOf(stream) };
}

async function* framesOf(stream: AsyncGenerator<TapeAnswer<RunTaskResponse>, void, undefined>) {
  for await (const answer of stream) yield readTapeFrame(answer);
}
