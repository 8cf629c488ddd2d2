import type { Meter } from "@opentelemetry/api";
import type { Logger } from "pino";
import type { Kind } from "../domain/kind.ts";
import type { KindsContext, KindsModel } from "../kinds/define-kinds.ts";
import { echo } from "../kinds/echo.ts";
import type { Store } from "../store/database.ts";
import { kindDatabase } from "../store/kind-database.ts";
import { migrateKinds, missingKindSteps, requireKindMigrations } from "../store/kind-migrations.ts";
import { ConfigurationError } from "./config/configuration.ts";
import type { Configuration } from "./config/configuration.ts";
import { requireDistinctNames } from "./config/load-kinds.ts";
import type { LoadedKinds } from "./config/load-kinds.ts";

/** The kinds that a server runs: echo, and those that the modules of `--kinds` export. */
export interface ServedKinds {
  readonly kinds: readonly Kind[];
  /** Closes the packages, the last opened first. Errors are logged. */
  close(): Promise<void>;
}

/**
 * Opens the packages of kinds for a namespace.
 *
 * @throws ConfigurationError where a package cannot be opened, and for two kinds of one name
 */
export async function openKinds(parts: {
  loaded: LoadedKinds;
  configuration: Configuration;
  namespace: string;
  store: Store;
  meter: Meter;
  log: Logger;
}): Promise<ServedKinds> {
  const { loaded, log } = parts;
  const context = contextOf(parts);
  const kinds: Kind[] = [echo];
  const opened = new AsyncDisposableStack();
  const close = () => opened.disposeAsync().catch((error: unknown) => log.error({ err: error }, "kinds: close failed"));
  try {
    for (const { name, open } of loaded.packages) {
      const found = await Promise.try(() => open(context)).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new ConfigurationError([`--kinds: the package ${name} cannot be opened: ${reason}`]);
      });
      opened.defer(async () => found.close?.());
      kinds.push(...found.kinds);
    }
    kinds.push(...loaded.kinds);
    requireDistinctNames(kinds);
    return { kinds, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Applies the missing steps of all packages. @returns those that were applied now @throws KindsTooOld */
export async function migratePackages({ db }: Pick<Store, "db">, { packages }: LoadedKinds): Promise<string[]> {
  const applied: string[] = [];
  for (const kinds of packages) applied.push(...(await migrateKinds(db, kinds)));
  return applied;
}

/**
 * Returns the missing steps of all packages, as `package/step`.
 *
 * @param store null: the database does not exist yet
 * @throws KindsTooOld
 */
export async function planPackages(store: Pick<Store, "db"> | null, { packages }: LoadedKinds): Promise<string[]> {
  const planned: string[] = [];
  for (const kinds of packages) {
    const missing = store === null ? kinds.migrations : await missingKindSteps(store.db, kinds);
    planned.push(...missing.map(({ name }) => `${kinds.name}/${name}`));
  }
  return planned;
}

/** Makes sure that the database has all steps of all packages. @throws KindsTooOld, KindsNotMigrated */
export async function requirePackages({ db }: Pick<Store, "db">, { packages }: LoadedKinds): Promise<void> {
  for (const kinds of packages) await requireKindMigrations(db, kinds);
}

function contextOf(parts: {
  configuration: Configuration;
  namespace: string;
  store: Store;
  meter: Meter;
}): KindsContext {
  const { configuration, namespace, store, meter } = parts;
  const { sourcesDir } = configuration;
  // What a task waits for goes before reads of callers.
  const database = kindDatabase(store.priorityDb);
  return { namespace, database, databaseUrl: store.url, meter, sourcesDir, model: modelOf(configuration) };
}

function modelOf({ modelBaseUrl: baseUrl, modelApiKey: apiKey, model }: Configuration): KindsModel | null {
  return model === null || baseUrl === null ? null : { baseUrl, apiKey: apiKey ?? "", model };
}
