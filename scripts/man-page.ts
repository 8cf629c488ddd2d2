import type { Command, Option } from "commander";

/** Returns the manual page of a program in roff, from its commands and options. */
export function manPage(program: Command, { footer }: { footer: string }): string {
  const help = program.createHelp();
  const name = program.name();
  const lines = [
    `.\\" Made by npm run build:man. Do not edit.`,
    `.TH ${name.toUpperCase()} 1 "" "Spool ${program.version()}" "Spool"`,
    ".SH NAME",
    `${name} \\- ${escape(lowerFirst(program.description()))}`,
    ".SH SYNOPSIS",
    `.B ${name}`,
    "[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]",
    ".SH OPTIONS",
    "Every command has these options.",
    ...help.visibleOptions(program).flatMap(optionLines),
    ".SH COMMANDS",
    ...help.visibleCommands(program).flatMap((command) => commandLines(command, name)),
    ".SH NOTES",
    ".nf",
    ...footer.trim().split("\n").map(escape),
    ".fi",
  ];
  return `${lines.join("\n")}\n`;
}

function commandLines(command: Command, parent: string): string[] {
  const path = `${parent} ${command.name()}`;
  const help = command.createHelp();
  const usage = command.registeredArguments.map((argument) => {
    const name = argument.name() + (argument.variadic ? "..." : "");
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  const options = help.visibleOptions(command).filter(({ long }) => long !== "--help");
  const children = help.visibleCommands(command);
  return [
    `.SS "${escape([path, ...(options.length > 0 ? ["[options]"] : []), ...usage].join(" "))}"`,
    escape(command.description()),
    ...help.visibleArguments(command).flatMap((argument) => item(`<${argument.name()}>`, argument.description)),
    ...options.flatMap(optionLines),
    ...children.flatMap((child) => commandLines(child, path)),
  ];
}

function optionLines(option: Option): string[] {
  const choices = option.argChoices === undefined ? "" : ` (choices: ${option.argChoices.join(", ")})`;
  const fallback = option.defaultValue === undefined ? "" : ` (default: ${String(option.defaultValue)})`;
  return item(option.flags, `${option.description}${choices}${fallback}`);
}

function item(term: string, description: string): string[] {
  return [".TP", `\\fB${escape(term)}\\fR`, escape(description)];
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, "");
}

/** Escapes a line of text: no character of it is a command of roff. */
function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll('"', "\\(dq")
    .replace(/^(?=[.'])/, "\\&");
}
