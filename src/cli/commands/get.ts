import type { Command } from "commander";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { taskJson } from "../output/json-shapes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { resolveTaskId } from "../options/task-id.ts";

export function addGet(program: Command): void {
  program
    .command("get")
    .description("Print the current state of a task")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .action((taskId: string, _options: object, command: Command) =>
      runCommand(command, (context) => get(context, taskId)),
    );
}

async function get({ client, json }: CommandContext, idOrPrefix: string): Promise<number> {
  const taskId = await resolveTaskId(client, idOrPrefix);
  const task = taskJson(await client.get({ taskId }));
  await writeOut(json ? `${jsonText(task)}\n` : lines(task));
  return EXIT.succeeded;
}

/** Returns one line for each field that is set. */
function lines(task: Record<string, unknown>): string {
  const set = Object.entries(task).filter(([, value]) => value !== null);
  const columns = Math.max(...set.map(([name]) => name.length));
  return set.map(([name, value]) => `${name.padEnd(columns)}  ${valueText(value)}\n`).join("");
}

function valueText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? escapeText(value) : jsonText(value);
}
