import type { Socket } from "node:net";
import pg from "pg";

const INT8 = 20;
/** The leading comment of a statement that is prepared once per connection, under the name in the comment. */
const NAMED_STATEMENT = /^\/\* (\w+) \*\//;
/** The deadline of a statement, after which its connection is closed. Every statement takes far less time. */
export const ANSWER_MS_MAX = 15_000;
/** Statements without a deadline: a migration may take long. */
const SCHEMA_CHANGE = /^\s*(create|alter|drop|vacuum)\b/i;

/** Reads int8 as a bigint. node-pg would return a string. */
const BIGINT_TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === INT8 ? BigInt : pg.types.getTypeParser(oid, format as "text")) as pg.CustomTypesConfig["getTypeParser"],
};

/**
 * A client that names frequent statements by their leading comment. Kysely names no statement, so the driver would
 * prepare none.
 *
 * The client also closes a connection if a statement gets no answer in time. If the peer is lost without a sign, the
 * caller would otherwise wait until TCP gives up.
 */
export class NamedClient extends pg.Client {
  /** Called with the driver's error for each failed statement. */
  onFailure: ((error: unknown) => void) | null = null;

  constructor(config?: pg.ClientConfig) {
    super({ ...config, types: BIGINT_TYPES });
    // If a lent connection breaks, its statement fails anyway. Without a listener, the error event would end the
    // process.
    this.on("error", () => {});
  }

  // @ts-expect-error The overloads of query cannot be written in one signature; Kysely uses this one.
  override query(text: unknown, values?: unknown[], ...rest: unknown[]): unknown {
    const query = super.query as (...args: unknown[]) => unknown;
    if (typeof text !== "string") return query.call(this, text, values, ...rest);
    const name = NAMED_STATEMENT.exec(text)?.[1];
    const answer = query.call(this, name === undefined ? text : { name, text, values }, values, ...rest);
    if (answer instanceof Promise) this.#expect(answer, SCHEMA_CHANGE.test(text) ? null : ANSWER_MS_MAX);
    return answer;
  }

  /** Closes the socket at once, without a Terminate message. */
  destroy(error?: Error): void {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    stream.destroy(error);
  }

  /** Whether no transaction is open, according to the server's latest answer. */
  get isOutsideTransaction(): boolean {
    return (this as unknown as { getTransactionStatus(): string | null }).getTransactionStatus() === "I";
  }

  #expect(answer: Promise<unknown>, withinMs: number | null): void {
    const silent = () => this.destroy(new Error("Connection terminated: no answer in time"));
    const timer = withinMs === null ? undefined : setTimeout(silent, withinMs);
    answer.then(
      () => clearTimeout(timer),
      (error: unknown) => {
        clearTimeout(timer);
        this.onFailure?.(error);
      },
    );
  }
}
