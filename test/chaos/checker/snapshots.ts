import { acknowledged, lastSeqOf } from "./facts.ts";
import type { Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";
import { isTerminal } from "./reads.ts";
import type { Answer, Fault } from "./reads.ts";

/** Compares the status and the attempt of an answer with the tape up to its last_seq. */
export function checkSnapshot({ tape }: TaskFacts, { what, status, lastSeq, attempt }: Answer): Fault | null {
  if (lastSeq === null) return null;
  const last = lastSeq === 0 ? null : tape.get(lastSeq)?.event;
  // findWithoutFinal compares terminal states.
  if (last !== undefined && last?.type !== "final" && !isTerminal(status)) {
    const expected = last === null || last.type === "retrying" ? "pending" : "running";
    if (status !== expected) {
      const message = `${what} showed ${status} with last_seq ${lastSeq}, which is ${last === null ? "an empty tape" : last.type}`;
      return { promise: "one-snapshot", message };
    }
  }
  if (attempt === null) return null;
  let begun = 0;
  for (let seq = 1; seq <= lastSeq; seq++) {
    const event = tape.get(seq)?.event;
    if (event === undefined) return null;
    if (event.type === "started") begun = event.attempt ?? begun;
  }
  if (attempt === begun) return null;
  const message = `${what} showed attempt ${attempt} with last_seq ${lastSeq}, where attempt ${begun} is the last that has begun`;
  return { promise: "one-snapshot", message };
}

/** Compares the fields of each page with each other. */
export function* checkPageFields(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    for (const call of task.pages) {
      const page = acknowledged(call)?.answered.line;
      if (page === undefined) continue;
      const { fromSeq, nextFromSeq, lastSeq, hasMore, events } = page;
      const last = events.at(-1);
      const next = last === undefined ? Math.max(1, fromSeq) : lastSeqOf(last) + 1;
      const faults = [
        nextFromSeq !== next && `next_from_seq ${nextFromSeq} and not ${next}`,
        lastSeq < next - 1 && last !== undefined && `last_seq ${lastSeq} and an event with seq ${next - 1}`,
        hasMore !== lastSeq >= next && `has_more ${hasMore}, last_seq ${lastSeq} and next_from_seq ${nextFromSeq}`,
      ].filter((fault) => fault !== false);
      if (faults.length === 0) continue;
      const message = `a page from seq ${fromSeq} has ${faults.join(", ")}`;
      yield { promise: "one-snapshot", taskId: task.taskId, subject: `page ${page.client} ${page.call}`, message };
    }
  }
}
