import type { Socket } from "node:net";
import pg from "pg";

const INT8 = 20;
/** A statement that opens with this comment is prepared once a connection, under its name. */
const NAMED_STATEMENT = /^\/\* (\w+) \*\//;
/** A statement that has no answer by then is given up with its connection. Every one of them is far shorter. */
export const ANSWER_MS_MAX = 15_000;
/** But a migration takes as long as it takes. */
const SCHEMA_CHANGE = /^\s*(create|alter|drop)\b/i;

/** int8 is bigint from column to wire; node-pg would give a string. */
const BIGINT_TYPES: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === INT8 ? BigInt : pg.types.getTypeParser(oid, format as "text")) as pg.CustomTypesConfig["getTypeParser"],
};

/**
 * Kysely names no statement, so nothing would be prepared: this names the hot ones by their leading comment. It also
 * gives up a connection on which a statement has had no answer for too long: a peer that vanished without a word would
 * hold its caller for as long as TCP hopes.
 */
export class NamedClient extends pg.Client {
  /** Told of every statement that fails, with the driver's error. */
  onFailure: ((error: unknown) => void) | null = null;

  constructor(config?: pg.ClientConfig) {
    super({ ...config, types: BIGINT_TYPES });
    // A connection that breaks while it is lent out has failed its statement already, and an error event that nobody
    // hears would end the process.
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

  /** Closes the socket at once, without a goodbye. */
  destroy(error?: Error): void {
    const { stream } = (this as unknown as { connection: { stream: Socket } }).connection;
    stream.destroy(error);
  }

  /** Whether no transaction is open, as the server has said with its last answer. */
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
