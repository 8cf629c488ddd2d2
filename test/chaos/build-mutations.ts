import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PromiseName } from "./checker/promises.ts";

/** A one-line change of Spool that breaks a promise. A short run against the changed build must find it. */
export interface BuildMutation {
  /** What the change does. */
  what: string;
  /** In the checkout. */
  file: string;
  /** Text that the file has once. */
  from: string;
  to: string;
  /** The promise that the run must report as broken. It may report others, too. */
  promise: PromiseName;
}

export const MUTATIONS = {
  "publish-before-commit": {
    what: "publishes the events of a running attempt to followers before the commit",
    file: "src/engine/write/flush-batch.ts",
    from: `    const sentAt = performance.now();
`,
    to: `    const sentAt = performance.now();
    for (const { writer, taken } of batch.appends) {
      const lastSeq = this.#feed.state(writer.fence.taskId)?.lastSeq;
      if (lastSeq === undefined || taken.end !== null) continue;
      this.#feed.publish({ taskId: writer.fence.taskId, firstSeq: lastSeq + 1n, events: taken.events, time: new Date(), status: "running" });
    }
`,
    promise: "event-never-changes",
  },
  "fence-not-checked": {
    what: "appends and ends without a check of status, session and attempt",
    file: "src/store/tapes/journal-statement.ts",
    from: `    and t.lease is not distinct from a.lease and t.attempt = a.attempt and t.appended = a.appended
`,
    to: "\n",
    promise: "one-attempt-at-a-time",
  },
  "cursor-past-page": {
    what: "gives a cursor that has seen the whole round with each page of a stream over many tasks",
    file: "src/engine/read/change-scan.ts",
    from: `cursor: cursorAfter({ generation, seen, target }, tasks.at(-1)!) };`,
    to: `cursor: { generation, seen: target, round: null } };`,
    promise: "cursor-loses-nothing",
  },
  "ended-tasks-not-scanned": {
    what: "leaves the events before the end of a task out of a stream over many tasks",
    file: "src/engine/read/change-scan.ts",
    from: "const seenSeq = given ?? tape.seenSeq ?? (await find(seen));",
    to: "const seenSeq = given ?? (tape.endedXid === null ? null : tape.lastSeq - 1n) ?? tape.seenSeq ?? (await find(seen));",
    promise: "stream-over-many-complete",
  },
  "removed-without-marker": {
    what: "forgets that a task was removed",
    file: "src/store/tasks/removed-tasks.ts",
    from: "  return marker === undefined ? new TaskNotFound(taskId) : new TaskExpired(taskId, marker.removed_at);",
    to: "  return new TaskNotFound(taskId);",
    promise: "acknowledged-start-exists",
  },
  "request-id-not-held": {
    what: "starts another task for a request_id that has started one",
    file: "src/store/tapes/journal-statement.ts",
    from: "  where n.request_id is null or n.task_id in (select task_id from requested)",
    to: "  where true",
    promise: "one-task-per-request-id",
  },
  "cancel-not-recorded": {
    what: "answers the cancel of a running task and does not record the cancel",
    file: "src/domain/lifecycle.ts",
    from: 'return task.cancelRequestedAt === null ? asked(reason, by) : { type: "unchanged" };',
    to: 'return { type: "unchanged" };',
    promise: "cancel-outcome-true",
  },
  "lost-tasks-not-swept": {
    what: "leaves the tasks of dead processes running",
    file: "src/engine/maintenance/sweeper.ts",
    from: `      await attempt(() => this.#takeOverdue("lost", 0));
`,
    to: "",
    promise: "every-task-ends",
  },
  "folded-text-lost": {
    what: "leaves the first text out of a folded event",
    file: "src/domain/tape-fold.ts",
    from: 'JSON.stringify(texts.join(""))',
    to: 'JSON.stringify(texts.slice(1).join(""))',
    promise: "folded-equals-recorded",
  },
  "trouble-is-internal": {
    what: "answers INTERNAL if the database cannot be reached",
    file: "src/rpc/errors.ts",
    from: "STORE_UNAVAILABLE: Code.Unavailable",
    to: "STORE_UNAVAILABLE: Code.Internal",
    promise: "refusal-has-reason",
  },
} as const satisfies Record<string, BuildMutation>;

export type MutationName = keyof typeof MUTATIONS;

const ROOT = join(import.meta.dirname, "..", "..");
/** What a server and a harness need of a checkout. The rest is linked. */
const COPIED = ["bin", "src", "proto", "test", "packages", "examples", "clients", "package.json", "tsconfig.json"];
const LINKED = ["node_modules", "dist"];

/**
 * Runs work on a temporary copy of the checkout that has a mutation, and removes the copy.
 *
 * @param work receives the root folder of the copy
 */
export async function withMutation<Result>(
  name: MutationName,
  work: (root: string) => Promise<Result> | Result,
): Promise<Result> {
  const root = mkdtempSync(join(tmpdir(), `spool-mutation-${name}-`));
  try {
    for (const entry of COPIED) cpSync(join(ROOT, entry), join(root, entry), { recursive: true });
    for (const entry of LINKED) symlinkSync(join(ROOT, entry), join(root, entry));
    mutate(root, MUTATIONS[name]);
    return await work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** @throws Error if the file does not have the text once, because the source has changed since */
function mutate(root: string, { file, from, to }: BuildMutation): void {
  const path = join(root, file);
  const parts = readFileSync(path, "utf8").split(from);
  if (parts.length !== 2) throw new Error(`${file} has the text of the mutation ${parts.length - 1} times, not once`);
  writeFileSync(path, parts.join(to));
}
