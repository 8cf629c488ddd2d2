import type { NamedClient } from "./named-client.ts";
import { unsupportedProduct } from "./supported-products.ts";

/**
 * The time after which Postgres ends an idle transaction. Its process is stalled, or lost without a sign. The rows that
 * it has locked would keep every other process from ending its tasks.
 */
export const IDLE_IN_TRANSACTION_MS_MAX = 3_000;

/**
 * Settings for plans that stay right while tables grow. A prepared statement keeps its plan. A plan that was made while
 * a table was small would read all of it later, so plans use an index wherever there is one. Where there is none, the
 * planner expects a huge cost, for which it would compile the statement for longer than it runs.
 */
const PLANNING = { enable_seqscan: "off", jit: "off" };

/**
 * Settings that the code relies on, whatever the role, the database or the server has set: how values are written and
 * read, and how transactions behave. Whether a database takes writes is the operator's decision, so this is checked and
 * not set.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  extra_float_digits: "1",
  bytea_output: "hex",
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
  ...PLANNING,
};
/** Settings for servers only. In an embedded database no other process waits for a row. */
const OF_SERVERS = { idle_in_transaction_session_timeout: `${IDLE_IN_TRANSACTION_MS_MAX}` };

/** The default of Postgres. A schema or a search_path in the URL overrides it. */
const SEARCH_PATH = '"$user", public';

const set = (name: string, value: string) => `set_config('${name}', '${value}', false)`;

/** Whether the database has Citus: see distributed-tables.ts. */
export const HAS_CITUS = "to_regclass('pg_catalog.pg_dist_partition') is not null";

/** Columns that tell whether a server takes writes. The session's settings apply to each of its transactions. */
const WRITABLE = `pg_is_in_recovery() as "isStandby", current_setting('transaction_read_only') = 'on' as "isReadOnly"`;

/**
 * Returns the statement that prepares a session. A pooler passes a statement on, but not startup parameters.
 *
 * An acknowledged write must be durable, so synchronous_commit `off` becomes `on`. Its other values are the operator's
 * choice. They are set in the session as well, so a later change of the server's setting does not affect open
 * connections.
 *
 * The statement reads an xmin, so that a product without it is refused.
 */
const preparing = (settings: Readonly<Record<string, string>>, searchPath: string) => `select ${WRITABLE},
  current_database() as database, current_setting('server_encoding') as encoding, version(),
  (select xmin from pg_class limit 1) is not null as "hasXmin", ${HAS_CITUS} as "hasCitus",
  extract(epoch from pg_postmaster_start_time())::text as instance,
  ${Object.entries(settings)
    .map(([name, value]) => set(name, value))
    .join(", ")},
  set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
  ${searchPath}`;

const DEFAULT_SEARCH_PATH = `case when (select source from pg_settings where name = 'search_path') <> 'client'
    then ${set("search_path", SEARCH_PATH)} end`;

/** @param schema the only schema in which tables are found; null: as the search_path says */
export function prepareSession(schema: string | null): string {
  const searchPath = schema === null ? DEFAULT_SEARCH_PATH : set("search_path", `"${schema}"`);
  return preparing({ ...SETTINGS, ...OF_SERVERS }, searchPath);
}

/** The same for the embedded Postgres. */
export const PREPARE_EMBEDDED = preparing(SETTINGS, DEFAULT_SEARCH_PATH);

/** The row that the statement of prepareSession returns. */
export interface SessionFacts extends WritableFacts {
  database: string;
  /** The encoding of the database, such as `UTF8`. */
  encoding: string;
  /** What the server calls itself, such as `PostgreSQL 18.4 on x86_64…`. */
  version: string;
  hasCitus: boolean;
  /** The start time of the server. It differs between servers, and changes with a restart. */
  instance: string;
}

interface WritableFacts {
  isStandby: boolean;
  isReadOnly: boolean;
}

/** What a URL must lead to: the writable primary, or a standby, which only answers reads. */
export type ServerRole = "primary" | "standby";

/** Error for a connection to a server that does not have the role that its URL is for. */
export abstract class WrongRole extends Error {}

/** Error for a connection to a server or a database that takes no writes. */
export class NotWritable extends WrongRole {
  constructor({ isStandby }: WritableFacts) {
    super(
      isStandby
        ? "the database is a standby, which takes no writes: its URL must lead to the primary"
        : "the database is read-only: default_transaction_read_only is on",
    );
    this.name = "NotWritable";
  }
}

/** Error for a connection to a server that is no standby: it was promoted, or the URL leads to a primary. */
class NotStandby extends WrongRole {
  constructor() {
    super("the server is not a standby");
    this.name = "NotStandby";
  }
}

/** Error for a database that is unusable until its URL, the database itself or the server's settings are changed. */
export class DatabaseMisconfigured extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatabaseMisconfigured";
  }
}

/** Checks that a session can be used. @throws DatabaseMisconfigured, NotWritable, NotStandby */
export function requireUsable(facts: SessionFacts, role: ServerRole): void {
  const { database, encoding, version } = facts;
  const unsupported = unsupportedProduct(version);
  if (unsupported !== null) throw new DatabaseMisconfigured(unsupported);
  if (encoding !== "UTF8") {
    throw new DatabaseMisconfigured(
      `the database ${JSON.stringify(database)} has the encoding ${encoding}, and Spool needs UTF8: create one with ` +
        "`create database NAME encoding 'UTF8' template template0`",
    );
  }
  requireRole(facts, role);
}

/**
 * Checks that an open connection still leads to a server of its role.
 *
 * @throws NotWritable, NotStandby, errors of the driver
 */
export async function checkRole(client: NamedClient, role: ServerRole): Promise<void> {
  const { rows } = (await client.query(`select ${WRITABLE}`)) as { rows: [WritableFacts] };
  requireRole(rows[0], role);
}

function requireRole(facts: WritableFacts, role: ServerRole): void {
  if (role === "standby") {
    if (!facts.isStandby) throw new NotStandby();
  } else if (facts.isStandby || facts.isReadOnly) {
    throw new NotWritable(facts);
  }
}
