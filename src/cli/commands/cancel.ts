import type { Command } from "commander";
import type { CancelOutcome } from "../../client/client.ts";
import { EXIT } from "../exit-codes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { resolveTaskId } from "../options/task-id.ts";

const OUTCOMES: Readonly<Record<CancelOutcome, string>> = {
  cancelled: "was pending, and has ended as cancelled",
  requested: "is running, and has been told to end",
  already_terminal: "had ended before; nothing was changed",
};

export function addCancel(program: Command): void {
  program
    .command("cancel")
    .description("ask a task to end; a finished one stays as it is")
    .argument("<task-id>", "or the first 8 characters of it or more")
    .option("--reason <text>", "for people, on the tape")
    .action((taskId: string, { reason }: { reason?: string }, command: Command) =>
      withSession(command, (session) => cancel(session, taskId, reason)),
    );
}

async function cancel({ client, json }: Session, named: string, reason: string | undefined): Promise<number> {
  const taskId = await resolveTaskId(client, named);
  const { task, outcome } = await client.cancel({ taskId, reason });
  const { status } = task;
  const text = json
    ? jsonText({ task_id: taskId, status, outcome })
    : `task ${taskId} ${OUTCOMES[outcome]} (status ${status})`;
  await writeOut(`${text}\n`);
  return EXIT.succeeded;
}
