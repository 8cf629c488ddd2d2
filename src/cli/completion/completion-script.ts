import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { packageFile } from "../package-file.ts";
import { readCommandTree } from "./command-tree.ts";
import type { CommandNode } from "./command-tree.ts";
import { fishTable } from "./fish-table.ts";
import { bashTable, zshTable } from "./posix-tables.ts";

// The three scripts work alike: a table of the commands, and a function that walks the words of the command line along
// the table. Only lists that change are asked of `spool __complete`, so most completions start no process.

const TABLES = { bash: bashTable, zsh: zshTable, fish: fishTable } satisfies Record<
  string,
  (tree: readonly CommandNode[]) => string
>;

/** Returns the script that completes the commands, options and values of a program in a shell. */
export function completionScript(shell: keyof typeof TABLES, program: Command): string {
  const template = readFileSync(packageFile(`templates/completion/spool.${shell}`), "utf8");
  const table = TABLES[shell](readCommandTree(program));
  return template.replace("# TABLE\n", () => table);
}
