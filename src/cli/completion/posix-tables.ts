import { valuesText } from "./command-tree.ts";
import type { CommandNode } from "./command-tree.ts";
import { summary, valueOptions } from "./value-options.ts";

/** Returns the table of commands as functions of bash. */
export function bashTable(tree: readonly CommandNode[]): string {
  const cases = tree.map(({ path, commands, options, arguments: values }) => {
    const names = commands.map(({ name }) => name).join(" ");
    const flags = options.flatMap((option) => option.flags).join(" ");
    return `${quote(path)}) commands=${quote(names)} options=${quote(flags)} arguments=(${list(values.map(valuesText))}) ;;`;
  });
  return `${commandFunction(cases)}\n${optionFunction(tree)}`;
}

/** Returns the table of commands as functions of zsh, with descriptions. */
export function zshTable(tree: readonly CommandNode[]): string {
  const cases = tree.map(({ path, commands, options, arguments: values }) => {
    const names = commands.map(({ name, description }) => described(name, description));
    const flags = options.flatMap((option) => option.flags.map((flag) => described(flag, option.description)));
    return `${quote(path)})
      spool_commands=(${list(names)})
      spool_options=(${list(flags)})
      arguments=(${list(values.map(valuesText))})
      ;;`;
  });
  return `${commandFunction(cases)}\n${optionFunction(tree)}`;
}

function commandFunction(cases: readonly string[]): string {
  return `# Sets the commands, options and arguments of a command.
_spool_command() {
  case $1 in
${cases.map((text) => `    ${text}\n`).join("")}  esac
}
`;
}

function optionFunction(tree: readonly CommandNode[]): string {
  const cases = valueOptions(tree).map(({ path, flag, values }) => {
    const pattern = path === null ? `*${quote(` ${flag}`)}` : quote(`${path} ${flag}`);
    return `${pattern}) values=${quote(values)} is_global=${path === null ? 1 : 0} ;;`;
  });
  return `# Sets the values of an option of a command. Fails if the option takes none.
_spool_option() {
  case "$1 $2" in
${cases.map((text) => `    ${text}\n`).join("")}    *) return 1 ;;
  esac
}
`;
}

/** Returns `name:description`, as _describe of zsh reads it. */
function described(name: string, description: string): string {
  return `${name}:${summary(description).replaceAll(":", String.raw`\:`)}`;
}

function list(words: readonly string[]): string {
  return words.map(quote).join(" ");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
