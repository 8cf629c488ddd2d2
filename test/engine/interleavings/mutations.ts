// `npm run interleavings:mutations`: plants one bug after the other in a copy of the sources, and requires that the
// interleavings find each of them. It shows that they find bugs at all.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempDisposableSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { styleText } from "node:util";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const RUNS_MAX = 20_000;

/** A bug: one line of a file, and what it becomes. */
interface Mutation {
  bug: string;
  file: string;
  line: string;
  becomes: string;
}

const MUTATIONS: readonly Mutation[] = [
  {
    bug: "two flushes take events of one task at once",
    file: "write/journal.ts",
    line: "this.#busy.add(writer);",
    becomes: "",
  },
  {
    bug: "items that arrive during a flush wait for ever",
    file: "write/journal.ts",
    line: "for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);\n    this.#schedule();",
    becomes: "for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);",
  },
  {
    bug: "an append whose answer was lost counts as written by another process",
    file: "write/journal.ts",
    line: "isDoubtful: true };",
    becomes: "isDoubtful: false };",
  },
  {
    bug: "one refused event fails the whole flush",
    file: "write/journal.ts",
    line: "if ((isOfContent || refusals >= JOINT_REFUSALS_MAX) && sizeOf(remaining) > 1) return remaining;",
    becomes: "if (refusals >= JOINT_REFUSALS_MAX && sizeOf(remaining) > 1) return remaining;",
  },
  {
    bug: "an event is published at the seq after its own",
    file: "write/flush-batch.ts",
    line: "this.#feed.publish({ taskId, firstSeq, events: taken.events,",
    becomes: "this.#feed.publish({ taskId, firstSeq: firstSeq + 1n, events: taken.events,",
  },
  {
    bug: "an append that another flush has written counts as lost",
    file: "write/flush-batch.ts",
    line: "state.appended > taken.appended) {",
    becomes: "state.appended > taken.appended && !isDoubtful) {",
  },
  {
    bug: "an attempt that has lost its task sends its events for ever",
    file: "write/flush-batch.ts",
    line: "state.appended > taken.appended) {",
    becomes: "state.appended >= taken.appended) {",
  },
  {
    bug: "followers do not hear of a commit whose answer was lost",
    file: "write/flush-batch.ts",
    line: "this.#feed.announce(state);",
    becomes: "",
  },
  {
    bug: "a start is reported again because another start of its flush failed",
    file: "write/flush-batch.ts",
    line: 'missed.creates.filter((_, index) => settled[index]!.status === "rejected")',
    becomes: "missed.creates",
  },
  {
    bug: "events that a lost flush has not written are never sent again",
    file: "write/tape-writer.ts",
    line: "this.#buffer.resend();",
    becomes: "",
  },
  {
    bug: "the followers of a tape are not woken",
    file: "read/feed.ts",
    line: "this.#tapes.enforceBounds(taskId, tape);\n    tape.subscribers.notifyAll();",
    becomes: "this.#tapes.enforceBounds(taskId, tape);",
  },
  {
    bug: "a ring forgets that it lacks events of another process",
    file: "read/tape-ring.ts",
    line: "if (firstSeq !== this.#lastSeq + 1n) this.drop();",
    becomes: "",
  },
  {
    bug: "a commit between two waits is missed",
    file: "read/subscription.ts",
    line: "if (this.#wait === null) this.#isNotified = true;",
    becomes: "if (this.#wait === null) return;",
  },
  {
    bug: "a stream ends at the first page that shows the end",
    file: "read/follow.ts",
    line: "const isLast = !page.hasMore && isTerminal(page.status);",
    becomes: "const isLast = isTerminal(page.status);",
  },
  {
    bug: "a new call is answered from memory that is older than the call",
    file: "read/follow.ts",
    line: "let seenSeq = knownSeq ?? (await currentSeq(source, taskId));",
    becomes: "let seenSeq = knownSeq ?? 0n;",
  },
  {
    bug: "an open stream is refused while the database is overloaded",
    file: "read/follow.ts",
    line: "return isOpen ? readForOpenStream(read, signal) : read();",
    becomes: "return read();",
  },
  {
    bug: "a follower skips to the end of the tape",
    file: "read/follow.ts",
    line: "cursor = page.nextFromSeq;",
    becomes: "cursor = page.lastSeq + 1n;",
  },
  {
    bug: "a reader gets a page that was read before its call",
    file: "read/stored-pages.ts",
    line: "if (isFresh || isReusable(page, seenSeq)) return this.#share(page);",
    becomes: "return this.#share(page);",
  },
];

/** Plants a bug, and runs interleavings until one fails. @returns what was printed */
async function plant({ file, line, becomes }: Mutation): Promise<{ isFound: boolean; output: string }> {
  using copy = mkdtempDisposableSync(join(tmpdir(), "spool-mutation-"));
  for (const folder of ["src", "test/engine/interleavings", "test/support", "package.json"]) {
    cpSync(join(ROOT, folder), join(copy.path, folder), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy.path, "node_modules"));
  const path = join(copy.path, "src", "engine", file);
  const source = readFileSync(path, "utf8");
  if (source.split(line).length !== 2) throw new Error(`${file} does not have exactly once: ${line}`);
  writeFileSync(path, source.replace(line, becomes));
  const main = join(copy.path, "test", "engine", "interleavings", "main.ts");
  const run = spawn(process.execPath, [main, "--runs", `${RUNS_MAX}`], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  run.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(run, "close")) as [number | null];
  return { isFound: code === 1 && output.includes("✗"), output };
}

let missed = 0;
for (const mutation of MUTATIONS) {
  const { isFound, output } = await plant(mutation);
  const [found = `not found in ${RUNS_MAX} interleavings`] = /(?<=✗ ).*/.exec(output) ?? [];
  const [runs = ""] = /(?<=^run )\d+/m.exec(output) ?? [];
  const [seed = ""] = /^seed \d+$/m.exec(output) ?? [];
  console.log(`${styleText(isFound ? "green" : "red", isFound ? "✓" : "✗")} ${mutation.file}: ${mutation.bug}`);
  console.log(styleText("dim", `    ${isFound ? `interleaving ${runs} of ${seed}: ` : ""}${found}`));
  if (!isFound) missed++;
}
console.log(`${MUTATIONS.length - missed} of ${MUTATIONS.length} planted bugs were found`);
process.exitCode = missed === 0 ? 0 : 1;
