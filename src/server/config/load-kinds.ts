import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Kind } from "../../domain/kind.ts";
import type { KindPackage } from "../../kinds/define-kinds.ts";
import { ConfigurationError } from "./configuration.ts";

/** What the modules of `--kinds` export. */
export interface LoadedKinds {
  /** Made by defineKind. */
  readonly kinds: readonly Kind[];
  /** Made by defineKinds. */
  readonly packages: readonly KindPackage[];
}

/**
 * Loads a user's own kinds: every export of the files that defineKind or defineKinds has made.
 *
 * @param files paths of JavaScript or TypeScript modules, relative to the working folder
 * @throws ConfigurationError for a file that cannot be loaded or exports no kinds, and for two packages of one name
 */
export async function loadKinds(files: readonly string[]): Promise<LoadedKinds> {
  const kinds: Kind[] = [];
  const packages: KindPackage[] = [];
  const problems: string[] = [];
  for (const file of files) {
    try {
      const exports = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
      const found = sortKinds(Object.values(exports));
      if (found.kinds.length + found.packages.length === 0) {
        problems.push(`--kinds ${file}: exports nothing that defineKind or defineKinds has made`);
      }
      kinds.push(...found.kinds);
      packages.push(...found.packages);
    } catch (error) {
      problems.push(`--kinds ${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  problems.push(...repeatedPackages(packages));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { kinds, packages };
}

/** Returns the kinds and the packages of kinds among some values, and leaves out the others. */
function sortKinds(values: readonly unknown[]): LoadedKinds {
  return { kinds: values.filter(isKind), packages: values.filter(isPackage) };
}

/** Refuses duplicate names of kinds. @throws ConfigurationError */
export function requireDistinctNames(kinds: readonly Kind[]): void {
  const twice = repeatedNames(kinds);
  if (twice.length > 0) throw new ConfigurationError(twice.map((name) => `--kinds: duplicate kind ${name}`));
}

/**
 * Sorts kinds and packages of kinds that a caller passes.
 *
 * @throws ConfigurationError for a value that is neither, and for two packages or two kinds of one name
 */
export function requireKinds(values: readonly unknown[]): LoadedKinds {
  const strays = values.flatMap((value, index) =>
    isKind(value) || isPackage(value) ? [] : [`kinds[${index}]: must be made by defineKind or defineKinds`],
  );
  const loaded = sortKinds(values);
  const problems = [...strays, ...repeatedPackages(loaded.packages)];
  if (problems.length > 0) throw new ConfigurationError(problems);
  requireDistinctNames(loaded.kinds);
  return loaded;
}

function repeatedPackages(packages: readonly KindPackage[]): string[] {
  return repeatedNames(packages).map((name) => `--kinds: the package ${name} is there twice`);
}

function repeatedNames(named: readonly { name: string }[]): string[] {
  const names = named.map(({ name }) => name);
  return names.filter((name, index) => names.indexOf(name) !== index);
}

function isKind(value: unknown): value is Kind {
  return typeof value === "object" && value !== null && "name" in value && "parseParams" in value && "run" in value;
}

function isPackage(value: unknown): value is KindPackage {
  return typeof value === "object" && value !== null && "name" in value && "migrations" in value && "open" in value;
}
