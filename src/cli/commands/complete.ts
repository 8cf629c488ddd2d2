import { Argument } from "commander";
import type { Command } from "commander";
import { connect } from "../../client/client.ts";
import { listContextNames, listKinds, listTaskIds, VALUE_LISTS } from "../completion/value-lists.ts";
import type { ListedValue, ValueList } from "../completion/value-lists.ts";
import { EXIT } from "../exit-codes.ts";
import { readSettings } from "../options/settings.ts";
import type { GlobalFlags } from "../options/settings.ts";
import { escapeText } from "../output/escape-text.ts";
import { writeOut } from "../output/output.ts";

/** How long a user who presses the Tab key waits for the server at most, in ms. */
const LIMIT_MS = 1_000;

/**
 * Adds the command that completion scripts call for values that change. It prints one value per line with a description
 * after a tab. It prints no error, because the user is typing: an unreachable server means no values.
 */
export function addComplete(program: Command): void {
  program
    .command("__complete", { hidden: true })
    .addArgument(new Argument("<list>").choices(VALUE_LISTS))
    .argument("[current]")
    .action(async (list: ValueList, current: string | undefined, _options: object, command: Command) => {
      const limit = setTimeout(() => process.exit(EXIT.succeeded), LIMIT_MS);
      process.stdout.on("error", () => process.exit(EXIT.succeeded));
      try {
        const values = await listValues(list, current ?? "", command.optsWithGlobals<GlobalFlags>());
        await writeOut(values.map(({ value, description }) => `${value}\t${escapeText(description)}\n`).join(""));
      } catch {
        // No values.
      }
      clearTimeout(limit);
    });
}

async function listValues(list: ValueList, current: string, flags: GlobalFlags): Promise<ListedValue[]> {
  if (list === "contexts") return listContextNames();
  const { address, token, namespace, tls } = readSettings(flags);
  using client = connect({ address, token, namespace, tls, retryMs: 0 });
  return await (list === "kinds" ? listKinds(client) : listTaskIds(client, current));
}
