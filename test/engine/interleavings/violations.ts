import type { NewEvent, TapeEvent } from "../../../src/domain/event.ts";
import { isTerminal } from "../../../src/domain/task.ts";
import type { Row, Tables } from "./tables.ts";

/** Returns the first of these events that the tape does not have at its seq; null if there is none. */
export function missingEvents(
  tables: Tables,
  taskId: string,
  firstSeq: bigint,
  events: readonly NewEvent[],
): string | null {
  const stored = tables.rows.get(taskId)?.events;
  if (stored === undefined) return null; // The task was removed.
  for (const [index, event] of events.entries()) {
    const there = stored[Number(firstSeq) - 1 + index];
    if (there?.body !== event.body || there.type !== event.type) return `event ${firstSeq + BigInt(index)}`;
  }
  return null;
}

/** The events of one attempt, in the order in which its code emits them. */
export function emitted(attempt: number, number: number): NewEvent {
  return { type: "progress", body: `{"attempt":${attempt},"number":${number}}` };
}

/** Returns what is wrong with a tape at the end of a run. */
export function tapeViolations({ events, status, lastSeq }: Row): string[] {
  const violations: string[] = [];
  const finals = events.filter(({ type }) => type === "final");
  if (!events.every(({ seq }, index) => seq === BigInt(index) + 1n)) violations.push("a tape has a gap");
  if (lastSeq !== BigInt(events.length)) violations.push("last_seq is not the last event");
  if (!isTerminal(status)) violations.push(`a task is ${status} at the end`);
  if (finals.length !== 1 || events.at(-1)?.type !== "final") violations.push(`a tape has ${finals.length} finals`);
  const numbers = new Map<number, number>();
  for (const event of events) {
    if (event.type !== "progress") continue;
    const { attempt, number } = JSON.parse(event.body) as { attempt: number; number: number };
    if (number !== (numbers.get(attempt) ?? 0) + 1)
      violations.push(`event ${number} of attempt ${attempt} is out of order`);
    numbers.set(attempt, number);
  }
  return violations;
}

/** Returns how many events of an attempt are on the tape. */
export function countOf(events: readonly TapeEvent[], attempt: number): number {
  return events.filter(({ body }) => body.startsWith(`{"attempt":${attempt},`)).length;
}
