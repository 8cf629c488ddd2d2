import { valuesText } from "./command-tree.ts";
import type { CommandNode, OptionNode } from "./command-tree.ts";

/** An option that takes a value. */
export interface ValueOption {
  /** The command that has the option; null: every command. */
  readonly path: string | null;
  readonly flag: string;
  readonly values: string;
}

/** Returns the options that take a value: those of one command each, then those of every command. */
export function valueOptions(tree: readonly CommandNode[]): ValueOption[] {
  const own = tree.flatMap(({ path, options }) =>
    withValues(
      path,
      options.filter(({ isGlobal }) => !isGlobal),
    ),
  );
  return [...own, ...withValues(null, tree[0]!.options)];
}

function withValues(path: string | null, options: readonly OptionNode[]): ValueOption[] {
  return options
    .filter(({ takesValue }) => takesValue)
    .flatMap(({ flags, values }) => flags.map((flag) => ({ path, flag, values: valuesText(values) })));
}

/** Returns the first sentence of a description, for the list that a shell shows. */
export function summary(description: string): string {
  return description.replace(/(?<=[a-z)])\. .*$|\.$/s, "");
}
