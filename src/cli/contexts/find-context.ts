import { UsageError } from "../options/usage-error.ts";
import { contextFilePath, readContextFile } from "./context-file.ts";
import type { ContextFile, ServerContext } from "./context-file.ts";

/** What selected a context, in their order of precedence. */
export type ContextSource = "flag" | "environment" | "current";

/** A context, and what selected it. */
export interface SelectedContext {
  readonly name: string;
  readonly source: ContextSource;
  readonly context: ServerContext;
}

const SOURCE_NAMES: Readonly<Record<ContextSource, string>> = {
  flag: "--context",
  environment: "SPOOL_CONTEXT",
  current: "the current context",
};

/**
 * Returns the name of the context that commands use, and what selected it; null: none, also if SPOOL_ADDRESS takes
 * precedence.
 */
export function selectContextName(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  readCurrent: () => string | null,
): { name: string; source: ContextSource } | null {
  if (flag !== undefined) return { name: flag, source: "flag" };
  if (environment["SPOOL_ADDRESS"]) return null;
  const variable = environment["SPOOL_CONTEXT"];
  if (variable) return { name: variable, source: "environment" };
  const current = readCurrent();
  return current === null ? null : { name: current, source: "current" };
}

/**
 * Returns the context that commands use: of the flag, else of SPOOL_CONTEXT, else the current one; null: none, also if
 * SPOOL_ADDRESS takes precedence.
 *
 * @throws UsageError for an unknown context, with the known ones
 */
export function findContext(
  flag: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): SelectedContext | null {
  let file: ContextFile | undefined;
  const path = contextFilePath(environment);
  const read = () => (file ??= readContextFile(path));
  const selected = selectContextName(flag, environment, () => read().current);
  if (selected === null) return null;
  return { ...selected, context: contextNamed(read(), selected.name, SOURCE_NAMES[selected.source]) };
}

/** Returns the context of a name. @param what what named the context, for the error @throws UsageError if unknown */
export function contextNamed({ contexts }: ContextFile, name: string, what: string): ServerContext {
  if (Object.hasOwn(contexts, name)) return contexts[name]!;
  const known = Object.keys(contexts);
  const list = known.length === 0 ? "there are no contexts" : `known contexts: ${known.join(", ")}`;
  throw new UsageError(`${what}: unknown context "${name}"; ${list}; add it with spool context add`);
}
