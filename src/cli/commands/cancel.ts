import type { Command } from "commander";
import type { CancelOutcome } from "../../client/client.ts";
import { EXIT } from "../exit-codes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";

const OUTCOMES: Readonly<Record<CancelOutcome, string>> = {
  cancelled: "was pending and is now cancelled",
  requested: "is running and was asked to end",
  already_terminal: "had already ended; nothing has changed",
};

export function addCancel(program: Command): void {
  program
    .command("cancel")
    .description("Cancel a task. A finished task stays as it is.")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .option("--reason <text>", "Reason for people, recorded on the tape (default: none)")
    .action((taskId: string, { reason }: { reason?: string }, command: Command) =>
      runCommand(command, (context) => cancel(context, taskId, reason)),
    );
}

async function cancel(
  { client, json }: CommandContext,
  idOrPrefix: string,
  reason: string | undefined,
): Promise<number> {
  const taskId = await resolveTaskId(client, idOrPrefix);
  const { task, outcome } = await client.cancel({ taskId, reason });
  const { status } = task;
  const text = json
    ? jsonText({ task_id: taskId, status, outcome })
    : `task ${taskId} ${OUTCOMES[outcome]} (status ${status})`;
  await writeOut(`${text}\n`);
  return EXIT.succeeded;
}
