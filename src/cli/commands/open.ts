import type { Command } from "commander";
import { EXIT } from "../exit-codes.ts";
import { runCommand } from "../command-context.ts";
import type { CommandContext } from "../command-context.ts";
import { guessHttpAddress, parseHttpAddress } from "../options/http-address.ts";
import { resolveTaskId } from "../options/task-id.ts";
import { jsonText, writeNotice, writeOut } from "../output/output.ts";

interface OpenOptions {
  print?: true;
  httpAddress?: string;
}

export function addOpen(program: Command): void {
  program
    .command("open")
    .description("Open a task in the console. Without a browser, print its URL.")
    .argument("<task-id>", "Task id, or at least its first 8 characters")
    .option("--print", "Print the URL and open no browser")
    .option(
      "--http-address <url>",
      "URL of the HTTP endpoint (default: SPOOL_HTTP_ADDRESS, else of the context, else the host, port 8080)",
    )
    .action((taskId: string, options: OpenOptions, command: Command) =>
      runCommand(command, (context) => open(context, taskId, options)),
    );
}

async function open(context: CommandContext, idOrPrefix: string, { print, httpAddress }: OpenOptions): Promise<number> {
  const { client, json, settings } = context;
  const base = consoleAddress(settings, httpAddress);
  const taskId = await resolveTaskId(client, idOrPrefix);
  const url = new URL(`#/tasks/${encodeURIComponent(taskId)}`, base).href;
  let isOpen = false;
  if (!print) {
    const { openBrowser } = await import("../browser/open-browser.ts");
    const problem = await openBrowser(url);
    isOpen = problem === null;
    if (problem !== null) {
      const lines = [`no browser opened: ${problem}; open the URL yourself`];
      writeNotice({ json, lines, fields: { notice: "no_browser", problem } });
    }
  }
  await writeOut(json ? `${jsonText({ task_id: taskId, url, opened: isOpen })}\n` : `${url}\n`);
  return EXIT.succeeded;
}

function consoleAddress({ address, httpAddress }: CommandContext["settings"], flag: string | undefined): URL {
  if (flag !== undefined) return parseHttpAddress(flag, "--http-address");
  return httpAddress === undefined
    ? guessHttpAddress(address)
    : parseHttpAddress(httpAddress, "SPOOL_HTTP_ADDRESS or context");
}
