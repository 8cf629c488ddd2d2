import type { Command } from "commander";
import { escapeText } from "../output/escape-text.ts";
import { EXIT } from "../exit-codes.ts";
import { taskJson } from "../output/json-shapes.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { withSession } from "../session.ts";
import type { Session } from "../session.ts";
import { resolveTaskId } from "../options/task-id.ts";

export function addGet(program: Command): void {
  program
    .command("get")
    .description("print a task as it is now")
    .argument("<task-id>", "or the first 8 characters of it or more")
    .action((taskId: string, _options: object, command: Command) =>
      withSession(command, (session) => get(session, taskId)),
    );
}

async function get({ client, json }: Session, named: string): Promise<number> {
  const taskId = await resolveTaskId(client, named);
  const task = taskJson(await client.get({ taskId }));
  await writeOut(json ? `${jsonText(task)}\n` : lines(task));
  return EXIT.succeeded;
}

/** A line for each field that is set. */
function lines(task: Record<string, unknown>): string {
  const set = Object.entries(task).filter(([, value]) => value !== null);
  const columns = Math.max(...set.map(([name]) => name.length));
  return set.map(([name, value]) => `${name.padEnd(columns)}  ${valueText(value)}\n`).join("");
}

function valueText(value: unknown): string {
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? escapeText(value) : jsonText(value);
}
