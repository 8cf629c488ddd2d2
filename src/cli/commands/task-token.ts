import type { Command } from "commander";
import type { TaskTokenScope } from "../../client/client.ts";
import { EXIT } from "../exit-codes.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { collectTaskScope, parseDuration } from "../options/option-values.ts";
import { resolveTaskId } from "../options/task-id.ts";

interface TaskTokenOptions {
  scope?: TaskTokenScope[];
  ttl?: number;
}

export function addTaskToken(program: Command): void {
  program
    .command("task-token")
    .description("Print a token with which a program can read one task, and cancel it if you allow it")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .option(
      "--scope <task-scope>",
      "tasks:read or tasks:cancel. Can be repeated. (default: tasks:read)",
      collectTaskScope,
    )
    .option("--ttl <duration>", "How long the token is valid: 1s to 7d (default: 1h)", parseDuration)
    .action((taskId: string, options: TaskTokenOptions, command: Command) =>
      runCommand(command, (context) => createToken(context, taskId, options)),
    );
}

async function createToken(
  { client, json }: CommandContext,
  idOrPrefix: string,
  { scope: scopes, ttl: ttlMs }: TaskTokenOptions,
): Promise<number> {
  const taskId = await resolveTaskId(client, idOrPrefix);
  const { token, expiresAt } = await client.createTaskToken({ taskId, scopes, ttlMs });
  await writeOut(json ? `${jsonText({ task_id: taskId, token, expires_at: expiresAt })}\n` : `${token}\n`);
  if (!json) writeNotice({ json, lines: [`for task ${taskId}, expires ${expiresAt.toISOString()}`], fields: {} });
  return EXIT.succeeded;
}
