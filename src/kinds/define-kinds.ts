import type { Meter } from "@opentelemetry/api";
import { InvalidArgument } from "../domain/errors.ts";
import type { Kind } from "../domain/kind.ts";
import type { KindDatabase, KindMigration, KindMigrations } from "../domain/kind-database.ts";
import { KIND_CHARS_MAX } from "../domain/limits.ts";

/** What a server gives to a package of kinds. */
export interface KindsContext {
  /** The namespace whose tasks these kinds run. All namespaces share the tables of a package: they have it in their keys. */
  readonly namespace: string;
  /** The server's database. It may be down when the package is opened: query it when a task runs. */
  readonly database: KindDatabase;
  /** The URL of that database, for a driver of the package's own; null where Postgres runs in the server's process. */
  readonly databaseUrl: string | null;
  /** Makes instruments that are exported with the server's metrics. */
  readonly meter: Meter;
  /** SPOOL_SOURCES_DIR: the folder that kinds may read files below. */
  readonly sourcesDir: string;
  /** SPOOL_MODEL_BASE_URL, SPOOL_MODEL_API_KEY and SPOOL_MODEL; null where the first or the last is not set. */
  readonly model: KindsModel | null;
}

/** A model behind an endpoint that is compatible with OpenAI's. */
export interface KindsModel {
  /** With the version: https://api.openai.com/v1. */
  readonly baseUrl: string;
  /** Empty where none is set. */
  readonly apiKey: string;
  readonly model: string;
}

/** The kinds of a package that a server has opened. */
export interface OpenedKinds {
  readonly kinds: readonly Kind[];
  /** Releases what the package holds. Called once, after the last attempt has ended. */
  close?(): Promise<void>;
}

/** Kinds that need something of the server, with the tables that they use. Made by defineKinds. */
export interface KindPackage extends KindMigrations {
  open(context: KindsContext): OpenedKinds | Promise<OpenedKinds>;
}

const PACKAGE_NAME = new RegExp(`^[A-Za-z0-9._-]{1,${KIND_CHARS_MAX}}$`);

/**
 * Makes a package of kinds that `spool serve --kinds ./file.ts` can run: kinds that need a database, the server's
 * settings or a resource that they share.
 *
 * @param name 1 to 128 characters of [A-Za-z0-9._-]; names the package's steps in the table kind_migrations
 * @param migrations the steps of the package's tables, in order. A server applies the missing ones before it runs the
 *   first task, all in one transaction; with SPOOL_MIGRATE=off, `spool migrate --kinds` does
 * @param open makes the kinds. Called once for each namespace, for that of the server's settings before the database is
 *   reached
 * @throws InvalidArgument for a name that is not one, and for two steps of one name
 */
export function defineKinds({
  name,
  migrations = [],
  open,
}: {
  name: string;
  migrations?: readonly KindMigration[];
  open: (context: KindsContext) => OpenedKinds | Promise<OpenedKinds>;
}): KindPackage {
  if (!PACKAGE_NAME.test(name)) {
    throw new InvalidArgument([{ field: "name", description: `must be 1 to ${KIND_CHARS_MAX} of [A-Za-z0-9._-]` }]);
  }
  const steps = migrations.map((migration) => migration.name);
  const twice = steps.find((step, index) => steps.indexOf(step) !== index);
  if (twice !== undefined) {
    throw new InvalidArgument([{ field: "migrations", description: `two steps are named "${twice}"` }]);
  }
  return { name, migrations, open };
}
