import type { DatabaseAddress, Endpoint } from "./database-address.ts";
import { parseDatabaseUrl } from "./database-address.ts";
import { NamedClient } from "./named-client.ts";
import { DatabaseMisconfigured, NotWritable, PREPARE_SESSION, requireUsable } from "./session-check.ts";
import type { SessionFacts } from "./session-check.ts";
import { explainTls, tlsTries } from "./tls.ts";
import type { TlsTry } from "./tls.ts";

/** For all hosts of a URL together. */
const CONNECT_TIMEOUT_MS = 5_000;

/** An open connection whose session is as the code needs it. */
export interface Dialed {
  client: NamedClient;
  facts: SessionFacts;
}

/** Where no server was reached at all, another way to speak to it is of no use. */
const UNREACHED = /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/;
const TOO_LATE = "timeout expired";

/**
 * Opens connections to the database of a URL. Of several hosts it takes the first that is a writable primary, and the
 * next time tries the one before all others that it took last. What it opens has been checked once.
 */
export class Dialer {
  readonly #address: DatabaseAddress;
  readonly #applicationName: string;
  readonly #mayBeUnusable: boolean;
  /** The host that was taken last. */
  #last: Endpoint | null = null;

  /**
   * @param mayBeUnusable whether a database that takes no writes, or has another encoding, will do as well: to be looked at
   * @throws InvalidDatabaseUrl
   */
  constructor(
    url: string,
    { applicationName, mayBeUnusable = false }: { applicationName: string; mayBeUnusable?: boolean },
  ) {
    this.#address = parseDatabaseUrl(url);
    this.#applicationName = applicationName;
    this.#mayBeUnusable = mayBeUnusable;
  }

  /** @throws NotWritable, DatabaseMisconfigured, and what the driver throws */
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
    throw failureOf(failures);
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
    // That TLS is not spoken is no failure where plain text is tried next; how that failed is what matters.
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
      const { rows } = (await client.query(PREPARE_SESSION)) as { rows: [SessionFacts] };
      const [facts] = rows;
      if (!mayBeUnusable) requireUsable(facts);
      return { client, facts };
    } catch (error) {
      client.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function isFinal(error: Error & { code?: string }): boolean {
  const isUnusable = error instanceof NotWritable || error instanceof DatabaseMisconfigured;
  return isUnusable || error.message === TOO_LATE || UNREACHED.test(error.code ?? "");
}

/** Of one host its own; of several what each has said. */
function failureOf(failures: readonly { label: string; error: Error }[]): Error {
  const [first] = failures;
  if (failures.length === 1) return first!.error;
  const all = failures.map(({ label, error }) => `${label}: ${error.message || (error as { code?: string }).code}`);
  const message = `no host of the database URL leads to a writable primary (${all.join("; ")})`;
  const isMisconfigured = failures.every(({ error }) => error instanceof DatabaseMisconfigured);
  const cause = failures.find(({ error }) => error instanceof NotWritable)?.error ?? first!.error;
  return isMisconfigured ? new DatabaseMisconfigured(message) : new Error(message, { cause });
}
