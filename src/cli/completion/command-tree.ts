import type { Argument, Command, Option } from "commander";
import { SCOPES } from "../../domain/principal.ts";
import { TASK_TOKEN_SCOPES } from "../../domain/task-token.ts";
import { LOG_LEVELS } from "../../server/log/log-level.ts";
import { isValueList } from "./value-lists.ts";
import type { ValueList } from "./value-lists.ts";

/** What can stand for a value: fixed words, a list that `spool __complete` prints, or a path; null: unknown. */
export type Values = readonly string[] | ValueList | "files" | "folders" | null;

/** An option of a command. */
export interface OptionNode {
  /** `--wait`, or `-h` and `--help`. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly values: Values;
  /** Whether every command has the option. */
  readonly isGlobal: boolean;
}

/** A command and what can follow it. */
export interface CommandNode {
  /** The words up to the command: `spool context add`. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly OptionNode[];
  /** The values of each positional argument. */
  readonly arguments: readonly Values[];
}

/** How many values of an argument that takes any number are completed. */
const REPEATED_MAX = 16;

/** The values of arguments and options by the names of their placeholders: `<task-id>` is a task id in every command. */
const PLACEHOLDERS: Readonly<Record<string, Values>> = {
  "task-id": "tasks",
  kind: "kinds",
  context: "contexts",
  file: "files",
  folder: "folders",
  level: LOG_LEVELS,
  scope: SCOPES,
  "task-scope": TASK_TOKEN_SCOPES,
};

/** Returns every visible command of a program, with its options and arguments. The program comes first. */
export function readCommandTree(program: Command): CommandNode[] {
  return readCommand(program, program, program.name());
}

function readCommand(program: Command, command: Command, path: string): CommandNode[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const global = program
    .createHelp()
    .visibleOptions(program)
    .filter(({ long }) => long !== "--version" || command === program);
  const own = command === program ? [] : help.visibleOptions(command);
  const options = [
    ...own.map((option) => optionNode(option, { isGlobal: false })),
    ...global
      .filter(({ long }) => !own.some((option) => option.long === long))
      .map((option) => optionNode(option, { isGlobal: true })),
  ];
  const names = commands.map((child) => ({ name: child.name(), description: child.description() }));
  const isHelp = command.name() === "help";
  const programCommands = program
    .createHelp()
    .visibleCommands(program)
    .map((child) => child.name());
  const node: CommandNode = {
    path,
    commands: names,
    options,
    arguments: isHelp ? [programCommands] : command.registeredArguments.flatMap(argumentValues),
  };
  return [node, ...commands.flatMap((child) => readCommand(program, child, `${path} ${child.name()}`))];
}

function optionNode(option: Option, { isGlobal }: { isGlobal: boolean }): OptionNode {
  const { short, long, description } = option;
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    takesValue: option.required || option.optional,
    values: option.argChoices ?? placeholderValues(/[<[]([^>\].]+)/.exec(option.flags)?.[1]),
    isGlobal,
  };
}

function argumentValues(argument: Argument): Values[] {
  const values = argument.argChoices ?? placeholderValues(argument.name());
  return Array.from({ length: argument.variadic ? REPEATED_MAX : 1 }, () => values);
}

/** Returns the values of a placeholder: of its name, or the words of `<wait|refuse>`. */
function placeholderValues(name: string | undefined): Values {
  if (name === undefined) return null;
  return name.includes("|") ? name.split("|") : (PLACEHOLDERS[name] ?? null);
}

/** Returns values as one word for a script: `words` with the fixed words, or the name of a list or of a sort of path. */
export function valuesText(values: Values): string {
  if (values === null) return "unknown";
  if (typeof values !== "string") return `words ${values.join(" ")}`;
  return isValueList(values) ? `list ${values}` : values;
}
