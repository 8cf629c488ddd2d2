import type { DatabaseAddress, Endpoint } from "./database-address.ts";
import { parseDatabaseUrl } from "./database-address.ts";
import { DISTRIBUTED_TABLES, distributionProblem } from "./distributed-tables.ts";
import type { DistributedTable } from "./distributed-tables.ts";
import { NamedClient } from "./named-client.ts";
import {
  checkRole,
  DatabaseMisconfigured,
  NotWritable,
  prepareSession,
  requireUsable,
  WrongRole,
} from "./session-check.ts";
import type { ServerRole, SessionFacts } from "./session-check.ts";
import { isUnknownToServer, refusedSession } from "./supported-products.ts";
import { explainTls, tlsTries } from "./tls.ts";
import type { TlsTry } from "./tls.ts";

/** The deadline for connecting, for all hosts of a URL together. */
const CONNECT_TIMEOUT_MS = 5_000;

/** An open connection with a prepared session. */
export interface Dialed {
  client: NamedClient;
  facts: SessionFacts;
}

/** Error codes that mean that no server was reached: a try with other TLS options would fail as well. */
const UNREACHED = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/;
const TOO_LATE = "timeout expired";

/**
 * Opens connections to the database of a URL. If the URL has several hosts, the dialer takes the first one that has the
 * role of the URL. Next time it tries this host first. Each connection is checked once when it is opened.
 */
export class Dialer {
  readonly #address: DatabaseAddress;
  readonly #applicationName: string;
  /** The statement that prepares a session. */
  readonly #prepare: string;
  readonly #role: ServerRole;
  readonly #mayBeUnusable: boolean;
  /** The host of the latest connection. */
  #last: Endpoint | null = null;

  /**
   * @param role what connections must lead to
   * @param mayBeUnusable whether to open a read-only database, or one with another encoding than UTF8, for inspection
   * @throws InvalidDatabaseUrl
   */
  constructor(
    url: string,
    {
      applicationName,
      role = "primary",
      mayBeUnusable = false,
    }: { applicationName: string; role?: ServerRole; mayBeUnusable?: boolean },
  ) {
    this.#address = parseDatabaseUrl(url, { role });
    this.#role = role;
    this.#prepare = prepareSession(this.#address.schema);
    this.#applicationName = applicationName;
    this.#mayBeUnusable = mayBeUnusable;
  }

  /** Opens a connection. @throws NotWritable, NotStandby, DatabaseMisconfigured, and errors of the driver */
  async dial(): Promise<Dialed> {
    const { endpoints } = this.#address;
    const inOrder = this.#last === null ? endpoints : [this.#last, ...endpoints.filter((each) => each !== this.#last)];
    const failures: { label: string; error: Error }[] = [];
    for (const endpoint of inOrder) {
      try {
        const dialed = await this.#dialOne(endpoint, this.#mayBeUnusable && endpoints.length === 1);
        this.#last = endpoint;
        return dialed;
      } catch (error) {
        failures.push({ label: endpoint.label, error: error as Error });
      }
    }
    const unusable = failures.findIndex(({ error }) => error instanceof NotWritable);
    if (this.#mayBeUnusable && unusable >= 0) return this.#dialOne(inOrder[unusable]!, true);
    throw failureOf(failures, this.#role);
  }

  /** Checks that an open connection still leads where it must. @throws NotWritable, NotStandby, errors of the driver */
  check(client: NamedClient): Promise<void> {
    return checkRole(client, this.#role);
  }

  async #dialOne(endpoint: Endpoint, mayBeUnusable: boolean): Promise<Dialed> {
    const { tls, endpoints } = this.#address;
    const tries = await tlsTries(tls);
    const withinMs = CONNECT_TIMEOUT_MS / endpoints.length / tries.length;
    const failures: Error[] = [];
    for (const tlsTry of tries) {
      try {
        return await this.#connect(endpoint, tlsTry, { withinMs, mayBeUnusable });
      } catch (thrown) {
        const error = explainTls(thrown as Error, tls, endpoint.label);
        failures.push(error);
        if (isFinal(thrown as Error)) break;
      }
    }
    // If the first try failed only for the way to connect (TLS or plain text), the second error is the one to report.
    throw failures.length > 1 && failures[0] instanceof DatabaseMisconfigured ? failures[1]! : failures[0]!;
  }

  async #connect(
    { url }: Endpoint,
    ssl: TlsTry,
    { withinMs, mayBeUnusable }: { withinMs: number; mayBeUnusable: boolean },
  ): Promise<Dialed> {
    const client = new NamedClient({
      connectionString: url,
      ssl,
      ...(this.#address.tls.isDirect && { sslnegotiation: "direct" }),
      keepAlive: true,
      application_name: this.#applicationName,
    });
    const timer = setTimeout(() => client.destroy(new Error(TOO_LATE)), withinMs);
    try {
      await client.connect();
      const facts = await openSession(client, this.#prepare);
      if (mayBeUnusable) return { client, facts };
      requireUsable(facts, this.#role);
      if (facts.hasCitus) await requireWhole(client);
      return { client, facts };
    } catch (error) {
      client.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Prepares a session. A server that answers, and does not understand the statement, is no Postgres.
 *
 * @throws DatabaseMisconfigured, errors of the driver
 */
async function openSession(client: NamedClient, prepare: string): Promise<SessionFacts> {
  try {
    const { rows } = (await client.query(prepare)) as { rows: [SessionFacts] };
    return rows[0];
  } catch (error) {
    if (!isUnknownToServer(error)) throw error;
    const { rows } = (await client.query("select version()")) as { rows: [Pick<SessionFacts, "version">] };
    throw new DatabaseMisconfigured(refusedSession(rows[0].version, (error as Error).message), { cause: error });
  }
}

/** Checks that Citus distributes no table of Spool. @throws DatabaseMisconfigured, errors of the driver */
async function requireWhole(client: NamedClient): Promise<void> {
  const { rows } = (await client.query(DISTRIBUTED_TABLES)) as { rows: DistributedTable[] };
  const problem = distributionProblem(rows);
  if (problem !== null) throw new DatabaseMisconfigured(problem);
}

function isFinal(error: Error & { code?: string }): boolean {
  const isUnusable = error instanceof WrongRole || error instanceof DatabaseMisconfigured;
  return isUnusable || error.message === TOO_LATE || UNREACHED.test(error.code ?? "");
}

/** Returns the error of a single host, or one error with the messages of all hosts. */
function failureOf(failures: readonly { label: string; error: Error }[], role: ServerRole): Error {
  const [first] = failures;
  if (failures.length === 1) return first!.error;
  const all = failures.map(({ label, error }) => `${label}: ${error.message || (error as { code?: string }).code}`);
  const wanted = role === "standby" ? "standby" : "writable primary";
  const message = `no host of the database URL leads to a ${wanted} (${all.join("; ")})`;
  const isMisconfigured = failures.every(({ error }) => error instanceof DatabaseMisconfigured);
  const cause = failures.find(({ error }) => error instanceof WrongRole)?.error ?? first!.error;
  return isMisconfigured ? new DatabaseMisconfigured(message) : new Error(message, { cause });
}
