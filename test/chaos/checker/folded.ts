// folded-equals-recorded

import type { FoldedPart, SeenEvent } from "../history.ts";
import { lastSeqOf } from "./facts.ts";
import type { Facts, TaskFacts } from "./facts.ts";
import type { Violation } from "./promises.ts";

export function* checkFolded(facts: Facts): Generator<Violation> {
  for (const task of facts.tasks.values()) {
    for (const { event, by } of task.sightings) {
      if (event.type !== "folded") continue;
      const fault = findFault(task, event);
      if (fault === null) continue;
      const message = `the folded event of seqs ${event.seq} to ${lastSeqOf(event)} for ${by} ${fault}`;
      yield { promise: "folded-equals-recorded", taskId: task.taskId, subject: `seq ${event.seq}`, message };
      break;
    }
  }
}

function findFault({ tape }: TaskFacts, folded: SeenEvent): string | null {
  const { seq: first, parts = [] } = folded;
  const last = lastSeqOf(folded);
  if (last <= first) return "covers fewer than two seqs";
  const recorded: SeenEvent[] = [];
  for (let seq = first; seq <= last; seq++) {
    const event = tape.get(seq)?.event;
    if (event === undefined) continue;
    if (event.series === undefined || event.series.mode === "all") return `covers ${event.type} at seq ${seq}`;
    recorded.push(event);
  }
  // A seq that no reader saw as recorded cannot be compared.
  if (recorded.length < last - first + 1) return null;
  const expected = JSON.stringify(fold(recorded).map(comparable));
  const found = JSON.stringify(parts.map(comparable));
  return expected === found ? null : `holds ${found}, and the recorded events fold to ${expected}`;
}

/** Folds consecutive partials: one part for each series, in the order of their first events. */
function fold(events: readonly SeenEvent[]): FoldedPart[] {
  const parts = new Map<string, FoldedPart>();
  for (const { seq, series } of events) {
    const { kind, name, mode, text, payload } = series!;
    const key = JSON.stringify([kind, name]);
    const part = parts.get(key);
    if (part === undefined) {
      parts.set(key, { ...series!, count: 1, firstSeq: seq, lastSeq: seq });
      continue;
    }
    part.count++;
    part.lastSeq = seq;
    if (mode === "append") part.text = `${part.text}${text}`;
    else if (payload !== undefined) part.payload = payload;
  }
  return [...parts.values()];
}

function comparable({ kind, name, mode, text, payload, count, firstSeq, lastSeq }: FoldedPart): unknown[] {
  return [kind, name, mode, mode === "append" ? text : payload, count, firstSeq, lastSeq];
}
