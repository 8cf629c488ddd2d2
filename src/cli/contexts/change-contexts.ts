import type { GlobalFlags } from "../options/settings.ts";
import { UsageError } from "../options/usage-error.ts";
import { jsonText, writeOut } from "../output/output.ts";
import { contextFilePath, readContextFile, writeContextFile } from "./context-file.ts";
import { contextNamed } from "./find-context.ts";

/** Makes a context the current one, or none with `isNone`. @throws UsageError for an unknown context */
export async function useContext(
  name: string | undefined,
  { isNone, json }: Pick<GlobalFlags, "json"> & { isNone: boolean },
): Promise<void> {
  if ((name === undefined) !== isNone) throw new UsageError("context use: give either the name of a context or --none");
  const path = contextFilePath();
  const file = readContextFile(path);
  if (name !== undefined) contextNamed(file, name, "context use");
  const current = name ?? null;
  writeContextFile(path, { ...file, current });
  const done = current === null ? "no context is the current one" : `context ${current}: is the current context`;
  await writeOut(json ? `${jsonText({ current })}\n` : `${done}\n`);
}

/** Removes a context. If it is the current one, no context is afterwards. @throws UsageError for an unknown context */
export async function removeContext(name: string, { json }: GlobalFlags): Promise<void> {
  const path = contextFilePath();
  const file = readContextFile(path);
  contextNamed(file, name, "context remove");
  const { [name]: _removed, ...contexts } = file.contexts;
  const current = file.current === name ? null : file.current;
  writeContextFile(path, { current, contexts });
  const was = file.current === name ? "; no context is the current one" : "";
  await writeOut(json ? `${jsonText({ removed: name, current })}\n` : `context ${name}: removed${was}\n`);
}
