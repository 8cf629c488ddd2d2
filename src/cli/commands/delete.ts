import type { Command } from "commander";
import { SpoolRpcError } from "../../client/client.ts";
import { EXIT } from "../exit-codes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { reportError } from "../report-error.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";

export function addDelete(program: Command): void {
  program
    .command("delete")
    .description("Remove finished tasks with their tapes. This cannot be undone.")
    .argument("<task-id...>", "Task ids, or at least their first 8 characters")
    .action((taskIds: string[], _options: object, command: Command) =>
      runCommand(command, (context) => deleteTasks(context, taskIds)),
    );
}

/** Deletes tasks one after the other. A task that is refused does not stop the others. */
async function deleteTasks(context: CommandContext, idsOrPrefixes: readonly string[]): Promise<number> {
  const { client, json, settings } = context;
  const taskIds: string[] = []; // All are resolved before the first is deleted, so a mistyped prefix deletes nothing.
  for (const text of idsOrPrefixes) taskIds.push(await resolveTaskId(client, text));
  let exitCode: number = EXIT.succeeded;
  for (const taskId of new Set(taskIds)) {
    try {
      const { alreadyDeleted } = await client.delete({ taskId });
      const done = alreadyDeleted ? "had already been removed" : "is removed";
      const text = json ? jsonText({ task_id: taskId, already_deleted: alreadyDeleted }) : `task ${taskId} ${done}`;
      await writeOut(`${text}\n`);
    } catch (error) {
      if (!isOfTask(error)) throw error;
      exitCode = reportError(error, { json, address: settings.address });
    }
  }
  return exitCode;
}

/** Whether an error is about one task, and says nothing of the others. */
function isOfTask(error: unknown): boolean {
  return (
    error instanceof SpoolRpcError && ["NOT_FOUND", "FAILED_PRECONDITION", "INVALID_ARGUMENT"].includes(error.code)
  );
}
