import { untilAborted } from "../async/abort.ts";
import { isStatementTimeout } from "../store/errors.ts";
import { CHECK_NAMES, skipped } from "./check.ts";
import type { Check, CheckName, Finding } from "./check.ts";
import { durationText } from "./format.ts";
import { STATEMENT_MS_MAX } from "./thresholds.ts";

/** Collects what checks find: one finding for each name, whatever goes wrong. */
export class Findings {
  /** Whether the database has answered. */
  isReached = false;
  /** Why checks are skipped while the database has not answered. */
  whyUnreached = "the database was not reached";
  readonly #found = new Map<CheckName, Finding>();
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  /** @param signal fires after timeoutMs, when the time for all checks is up */
  constructor({ timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal }) {
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  get(name: CheckName): Finding | undefined {
    return this.#found.get(name);
  }

  set(name: CheckName, finding: Finding): void {
    this.#found.set(name, finding);
  }

  /** Returns all checks, in the order of CHECK_NAMES. A check that was not made has its reason. */
  checks(): Check[] {
    const unseen = this.isReached ? "the schema is not this program's, or not known" : this.whyUnreached;
    return CHECK_NAMES.map((name) => ({ name, ...(this.#found.get(name) ?? skipped(unseen)) }));
  }

  /** Takes a look, and makes a finding of whatever comes of it. */
  async look(name: CheckName, look: () => Promise<Finding>): Promise<void> {
    const looked = look().catch((error: unknown) => this.failure(error));
    const finding = await untilAborted(looked, this.#signal);
    this.#found.set(name, finding ?? this.failure(new Error("the time is up")));
  }

  /** What a check that could not be made has found. */
  failure(error: unknown): Finding {
    const advice = {
      todo: "see what the database's server is at, or give it longer by --timeout",
      section: "Spool doctor",
    } as const;
    if (this.#signal.aborted) {
      return { status: "fail", found: `not known within ${durationText(this.#timeoutMs)}`, ...advice };
    }
    if (isStatementTimeout(error)) {
      return {
        status: "fail",
        found: `not known: a query took longer than ${durationText(STATEMENT_MS_MAX)}`,
        ...advice,
      };
    }
    const found = reasonOf(error);
    if (this.isReached) {
      const todo = "see that this role may read it, and that the database is not going down";
      return { status: "fail", found: `not known: ${found}`, todo, section: "Spool doctor" };
    }
    const todo = "see that the server runs and lets this machine in, and that the URL names it";
    return { status: "fail", found, todo, section: "Settings" };
  }
}

/** What a driver says of its trouble; a socket that was tried by several addresses has no message, but a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return `${error.message}: ${reasonOf(error.cause)}`;
  return error.message || ("code" in error ? String(error.code) : error.name);
}
