import { valuesText } from "./command-tree.ts";
import type { CommandNode } from "./command-tree.ts";
import { summary, valueOptions } from "./value-options.ts";

/** Returns the table of commands as functions of fish, which print one entry per line. */
export function fishTable(tree: readonly CommandNode[]): string {
  const commands = tree.map(({ path, commands }) => ({
    pattern: path,
    lines: commands.map(({ name, description }) => described(name, description)),
  }));
  const options = tree.map(({ path, options }) => ({
    pattern: path,
    lines: options.flatMap(({ flags, description }) => flags.map((flag) => described(flag, description))),
  }));
  const positions = tree.map((node) => ({ pattern: node.path, lines: node.arguments.map(valuesText) }));
  const values = valueOptions(tree).map(({ path, flag, values }) => ({
    pattern: `${path ?? "*"} ${flag}`,
    lines: [values, path === null ? "1" : "0"],
  }));
  return [
    "# Prints the commands below a command, with their descriptions.",
    functionOf("__spool_commands", "$argv[1]", commands),
    "# Prints the options of a command, with their descriptions.",
    functionOf("__spool_options", "$argv[1]", options),
    "# Prints the values of each argument of a command.",
    functionOf("__spool_arguments", "$argv[1]", positions),
    "# Prints the values of an option of a command, and whether every command has the option. Fails if it takes none.",
    functionOf("__spool_option", `"$argv[1] $argv[2]"`, values),
  ].join("\n");
}

function functionOf(
  name: string,
  subject: string,
  cases: readonly { readonly pattern: string; readonly lines: readonly string[] }[],
): string {
  const filled = cases.filter(({ lines }) => lines.length > 0);
  return `function ${name}
    switch ${subject}
${filled
  .map(
    ({ pattern, lines }) =>
      `        case ${quote(pattern)}\n            printf '%s\\n' ${lines.map(quote).join(" ")}\n`,
  )
  .join("")}        case '*'
            return 1
    end
end
`;
}

function described(name: string, description: string): string {
  return `${name}\t${summary(description)}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
