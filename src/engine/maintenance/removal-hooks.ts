import type { Kysely } from "kysely";
import type { Logger } from "pino";
import type { Kind } from "../../domain/kind.ts";
import { ERROR_MESSAGE_CHARS_MAX, REMOVAL_HOOK_MS_MAX } from "../../domain/limits.ts";
import { messageOf } from "../../domain/thrown.ts";
import type { Database } from "../../store/schema.ts";
import { claimHooks, finishHook, retryHook } from "../../store/tasks/removal-hooks.ts";
import type { ClaimedHook } from "../../store/tasks/removal-hooks.ts";
import { abortable } from "../../async/abort.ts";
import { backoffMs } from "../../async/backoff.ts";
import { Loop } from "../../async/loop.ts";
import { timeLimit } from "../../async/time-limit.ts";

const POLL_MS = 1_000;
/** How many hooks of a kind a server runs at once. */
const HOOKS_MAX = 4;
/** How long a claim holds. A server that dies leaves its hooks to other servers after this time. */
const CLAIM_MS = 2 * REMOVAL_HOOK_MS_MAX;
const BACKOFF = { firstMs: 1_000, maxMs: 60 * 60_000, jitter: 0.2 };
/** The shortest time between two log lines. */
const LOG_MS = 60_000;

/**
 * Runs the removal hooks of one kind of this process. A hook that fails is tried again with backoff, here or at another
 * server, until it succeeds. Each kind has a loop of its own, so that a slow hook delays no other kind. No removal waits
 * for a hook.
 */
export class RemovalHooks {
  readonly #db: Kysely<Database>;
  readonly #namespace: string;
  readonly #kind: Kind;
  readonly #log: Logger;
  readonly #loop: Loop;
  #loggedAt = -Infinity;

  constructor(parts: { db: Kysely<Database>; namespace: string; kind: Kind; log: Logger }) {
    this.#db = parts.db;
    this.#namespace = parts.namespace;
    this.#kind = parts.kind;
    this.#log = parts.log;
    const turn = (signal: AbortSignal) => this.#runDue(signal);
    this.#loop = new Loop({ name: "removal-hooks", everyMs: POLL_MS, log: parts.log, turn });
  }

  start(): void {
    this.#loop.start();
    this.#loop.kick();
  }

  /** Stops the hooks that run, and leaves them to other servers. */
  stop(): Promise<void> {
    return this.#loop.stop();
  }

  async #runDue(stopped: AbortSignal): Promise<void> {
    const query = { namespace: this.#namespace, kind: this.#kind.name, claimMs: CLAIM_MS, limit: HOOKS_MAX };
    let claimed: ClaimedHook[];
    do {
      claimed = await claimHooks(this.#db, query);
      await Promise.all(claimed.map((hook) => this.#run(hook, stopped)));
    } while (claimed.length === HOOKS_MAX && !stopped.aborted);
  }

  async #run(claimed: ClaimedHook, stopped: AbortSignal): Promise<void> {
    const { taskId, params, labels, attempt } = claimed;
    try {
      using limit = timeLimit(REMOVAL_HOOK_MS_MAX, stopped);
      const { signal } = limit;
      const work = Promise.resolve().then(() => this.#kind.onRemoved?.({ taskId, params, labels, attempt, signal }));
      await abortable(work, signal);
    } catch (thrown) {
      const waitMs = stopped.aborted ? 0 : backoffMs(attempt, BACKOFF);
      const error = messageOf(thrown).replaceAll("\0", "").toWellFormed().slice(0, ERROR_MESSAGE_CHARS_MAX);
      if (!stopped.aborted) this.#report(claimed, error);
      await retryHook(this.#db, claimed, { error, waitMs });
      return;
    }
    await finishHook(this.#db, claimed);
  }

  #report({ taskId, attempt }: ClaimedHook, error: string): void {
    const now = performance.now();
    if (now - this.#loggedAt < LOG_MS) return;
    this.#loggedAt = now;
    const fields = { task_id: taskId, kind: this.#kind.name, attempt, error };
    this.#log.warn(fields, "removal-hooks: hook failed, retrying");
  }
}
