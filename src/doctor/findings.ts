import { untilAborted } from "../async/abort.ts";
import { isStatementTimeout } from "../store/errors.ts";
import { CHECK_NAMES, skipped } from "./check.ts";
import type { Check, CheckName, Finding } from "./check.ts";
import { durationText } from "./format.ts";
import { STATEMENT_MS_MAX } from "./thresholds.ts";

/** Collects the results of checks: one finding for each name, also when a check fails or times out. */
export class Findings {
  /** Whether the database has answered. */
  isReached = false;
  /** Why checks are skipped while the database has not answered. */
  whyUnreached = "the database was not reached";
  readonly #found = new Map<CheckName, Finding>();
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  /** @param signal fires after timeoutMs, the time limit of all checks */
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

  /** Returns findings for another database, within the same time limit. */
  another(): Findings {
    return new Findings({ timeoutMs: this.#timeoutMs, signal: this.#signal });
  }

  /** Returns all checks, in the order of CHECK_NAMES. */
  checks(): Check[] {
    return CHECK_NAMES.map((name) => ({ name, ...this.checked(name) }));
  }

  /** Returns the finding of a check. A check that was not made says why. */
  checked(name: CheckName): Finding {
    const reason = this.isReached ? "the schema is another version's, or unknown" : this.whyUnreached;
    return this.#found.get(name) ?? skipped(reason);
  }

  /** Runs a check and records its finding. An error or the deadline becomes a finding as well. Never rejects. */
  async record(name: CheckName, check: () => Promise<Finding>): Promise<void> {
    const finding = await untilAborted(
      check().catch((error: unknown) => this.failure(error)),
      this.#signal,
    );
    this.#found.set(name, finding ?? this.failure(new Error("deadline exceeded")));
  }

  /** Creates the finding of a check that failed with an error. */
  failure(error: unknown): Finding {
    const advice = {
      todo: "check the load of the database server, or raise --timeout",
      section: "Spool doctor",
    } as const;
    if (this.#signal.aborted) {
      return { status: "fail", found: `no result within ${durationText(this.#timeoutMs)}`, ...advice };
    }
    if (isStatementTimeout(error)) {
      return {
        status: "fail",
        found: `no result: a query took longer than ${durationText(STATEMENT_MS_MAX)}`,
        ...advice,
      };
    }
    const found = reasonOf(error);
    if (this.isReached) {
      const todo = "check the privileges of this role, and that the database is not shutting down";
      return { status: "fail", found: `no result: ${found}`, todo, section: "Spool doctor" };
    }
    const todo = "check that Postgres runs, that it accepts connections from this machine, and that the URL is right";
    return { status: "fail", found, todo, section: "Settings" };
  }
}

/** Returns the message of a driver's error with its causes. A connection error of several addresses has only a code. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return `${error.message}: ${reasonOf(error.cause)}`;
  return error.message || ("code" in error ? String(error.code) : error.name);
}
