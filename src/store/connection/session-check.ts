import type { NamedClient } from "./named-client.ts";

/**
 * A transaction that does nothing for so long is ended by the server: its process stands still, or is gone without a
 * word, and the rows that it has locked would keep every other process from ending its tasks.
 */
export const IDLE_IN_TRANSACTION_MS_MAX = 3_000;

/**
 * What the code relies on, whatever a role, a database or a server is set to: how values are written and read, and how
 * transactions behave. Whether a database takes writes is its operator's to say, and is checked instead of set.
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
};
/** In an embedded database no other process waits for a row. */
const OF_SERVERS = { idle_in_transaction_session_timeout: `${IDLE_IN_TRANSACTION_MS_MAX}` };

/** Of Postgres's own; what a URL names counts before it. */
const SEARCH_PATH = '"$user", public';

const set = (name: string, value: string) => `set_config('${name}', '${value}', false)`;

/** Whether a session leads to a server that takes writes. Each transaction begins with what its session is set to. */
const WRITABLE = `pg_is_in_recovery() as "isStandby", current_setting('transaction_read_only') = 'on' as "isReadOnly"`;

/**
 * Prepares a session in one statement, which a pooler lets through, as it would not let through startup parameters. An
 * acknowledged write is durable, so synchronous_commit is not left off; its other values are the operator's choice, and
 * set as well, so that a server that is told otherwise later does not change what is open.
 */
const preparing = (settings: Readonly<Record<string, string>>) => `select ${WRITABLE},
  current_database() as database, current_setting('server_encoding') as encoding,
  extract(epoch from pg_postmaster_start_time())::text as instance,
  ${Object.entries(settings)
    .map(([name, value]) => set(name, value))
    .join(", ")},
  set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
  case when (select source from pg_settings where name = 'search_path') <> 'client'
    then ${set("search_path", SEARCH_PATH)} end`;

export const PREPARE_SESSION = preparing({ ...SETTINGS, ...OF_SERVERS });
/** For Postgres in this process. */
export const PREPARE_EMBEDDED = preparing(SETTINGS);

/** What PREPARE_SESSION gives. */
export interface SessionFacts extends WritableFacts {
  database: string;
  /** Of the database: `UTF8`. */
  encoding: string;
  /** When the server began, by which one server is told from another and from itself after a restart. */
  instance: string;
}

interface WritableFacts {
  isStandby: boolean;
  isReadOnly: boolean;
}

/** A connection leads to a server or a database that takes no writes. */
export class NotWritable extends Error {
  constructor({ isStandby }: WritableFacts) {
    super(
      isStandby
        ? "the database is a standby, which takes no writes: its URL must lead to the primary"
        : "the database is read-only: default_transaction_read_only is on",
    );
    this.name = "NotWritable";
  }
}

/** The database cannot be used until its URL, the database itself or its server's settings are changed. */
export class DatabaseMisconfigured extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DatabaseMisconfigured";
  }
}

/** @throws DatabaseMisconfigured, NotWritable */
export function requireUsable(facts: SessionFacts): void {
  const { database, encoding } = facts;
  if (encoding !== "UTF8") {
    throw new DatabaseMisconfigured(
      `the database ${JSON.stringify(database)} has the encoding ${encoding}, and Spool needs UTF8: create one with ` +
        "`create database NAME encoding 'UTF8' template template0`",
    );
  }
  requireWritable(facts);
}

/** Asks an open connection whether it still leads to a server that takes writes. @throws NotWritable, or what the driver throws */
export async function checkWritable(client: NamedClient): Promise<void> {
  const { rows } = (await client.query(`select ${WRITABLE}`)) as { rows: [WritableFacts] };
  requireWritable(rows[0]);
}

function requireWritable(facts: WritableFacts): void {
  if (facts.isStandby || facts.isReadOnly) throw new NotWritable(facts);
}
