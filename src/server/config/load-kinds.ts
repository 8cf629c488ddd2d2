import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Kind } from "../../domain/kind.ts";
import { ConfigurationError } from "./configuration.ts";

/**
 * Loads a user's own kinds: every export of the files that defineKind has made.
 *
 * @param files paths of JavaScript or TypeScript modules, relative to the working folder
 * @throws ConfigurationError for a file that cannot be loaded, or that exports no kind
 */
export async function loadKinds(files: readonly string[]): Promise<Kind[]> {
  const kinds: Kind[] = [];
  const problems: string[] = [];
  for (const file of files) {
    try {
      const exports = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
      const found = Object.values(exports).filter(isKind);
      if (found.length === 0) problems.push(`--kinds ${file}: exports nothing that defineKind has made`);
      kinds.push(...found);
    } catch (error) {
      problems.push(`--kinds ${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return kinds;
}

/** Refuses two kinds of one name: which of them ran would be chance. @throws ConfigurationError */
export function requireDistinctNames(kinds: readonly Kind[]): void {
  const names = kinds.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  if (twice.length > 0) throw new ConfigurationError(twice.map((name) => `--kinds: the kind ${name} is there twice`));
}

function isKind(value: unknown): value is Kind {
  return typeof value === "object" && value !== null && "name" in value && "parseParams" in value && "run" in value;
}
