// `npm run interleavings:mutations`: plants one bug after the other, and requires that the interleavings find each of them.

import { findPlantedBugs } from "../../support/planted-bugs.ts";
import type { PlantedBug } from "../../support/planted-bugs.ts";

const BUGS: readonly PlantedBug[] = [
  {
    bug: "two flushes take events of one task at once",
    file: "src/engine/write/journal.ts",
    line: "this.#busy.add(writer);",
    becomes: "",
  },
  {
    bug: "items that arrive during a flush wait for ever",
    file: "src/engine/write/journal.ts",
    line: "for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);\n    this.#schedule();",
    becomes: "for (const { writer } of batch.appends) if (!unsettled.has(writer)) this.#busy.delete(writer);",
  },
  {
    bug: "an append whose answer was lost counts as written by another process",
    file: "src/engine/write/journal.ts",
    line: "isDoubtful: true };",
    becomes: "isDoubtful: false };",
  },
  {
    bug: "one refused event fails the whole flush",
    file: "src/engine/write/journal.ts",
    line: "if ((isOfContent || refusals >= JOINT_REFUSALS_MAX) && sizeOf(remaining) > 1) return remaining;",
    becomes: "if (refusals >= JOINT_REFUSALS_MAX && sizeOf(remaining) > 1) return remaining;",
  },
  {
    bug: "an event is published at the seq after its own",
    file: "src/engine/write/flush-batch.ts",
    line: "this.#feed.publish({ taskId, firstSeq, events: taken.events,",
    becomes: "this.#feed.publish({ taskId, firstSeq: firstSeq + 1n, events: taken.events,",
  },
  {
    bug: "an append that another flush has written counts as lost",
    file: "src/engine/write/flush-batch.ts",
    line: "state.appended > taken.appended) {",
    becomes: "state.appended > taken.appended && !isDoubtful) {",
  },
  {
    bug: "an attempt that has lost its task sends its events for ever",
    file: "src/engine/write/flush-batch.ts",
    line: "state.appended > taken.appended) {",
    becomes: "state.appended >= taken.appended) {",
  },
  {
    bug: "followers do not hear of a commit whose answer was lost",
    file: "src/engine/write/flush-batch.ts",
    line: "this.#feed.announce(state);",
    becomes: "",
  },
  {
    bug: "a start is reported again because another start of its flush failed",
    file: "src/engine/write/flush-batch.ts",
    line: 'missed.creates.filter((_, index) => settled[index]!.status === "rejected")',
    becomes: "missed.creates",
  },
  {
    bug: "events that a lost flush has not written are never sent again",
    file: "src/engine/write/tape-writer.ts",
    line: "this.#buffer.resend();",
    becomes: "",
  },
  {
    bug: "the followers of a tape are not woken",
    file: "src/engine/read/feed.ts",
    line: "this.#tapes.enforceBounds(taskId, tape);\n    tape.subscribers.notifyAll();",
    becomes: "this.#tapes.enforceBounds(taskId, tape);",
  },
  {
    bug: "a ring forgets that it lacks events of another process",
    file: "src/engine/read/tape-ring.ts",
    line: "if (firstSeq !== this.#lastSeq + 1n) this.drop();",
    becomes: "",
  },
  {
    bug: "a commit between two waits is missed",
    file: "src/engine/read/subscription.ts",
    line: "if (this.#wait === null) this.#isNotified = true;",
    becomes: "if (this.#wait === null) return;",
  },
  {
    bug: "a stream ends at the first page that shows the end",
    file: "src/engine/read/follow.ts",
    line: "const isLast = !page.hasMore && isTerminal(page.status);",
    becomes: "const isLast = isTerminal(page.status);",
  },
  {
    bug: "a new call is answered from memory that is older than the call",
    file: "src/engine/read/follow.ts",
    line: "let seenSeq = knownSeq ?? (await currentSeq(source, taskId));",
    becomes: "let seenSeq = knownSeq ?? 0n;",
  },
  {
    bug: "an open stream is refused while the database is overloaded",
    file: "src/engine/read/follow.ts",
    line: "return isOpen ? readForOpenStream(read, signal) : read();",
    becomes: "return read();",
  },
  {
    bug: "a follower skips to the end of the tape",
    file: "src/engine/read/follow.ts",
    line: "cursor = page.nextFromSeq;",
    becomes: "cursor = page.lastSeq + 1n;",
  },
  {
    bug: "a reader gets a page that was read before its call",
    file: "src/engine/read/stored-pages.ts",
    line: "if (isFresh || isReusable(page, seenSeq)) return this.#share(page);",
    becomes: "return this.#share(page);",
  },
];

await findPlantedBugs(BUGS, { main: "test/engine/interleavings/main.ts", args: ["--runs", "20000"] });
