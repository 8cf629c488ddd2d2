import { isAnswered } from "./history.ts";
import type { HistoryLine } from "./history.ts";

/** What a run did, as text for people. @param gaps what this machine left out, and why */
export function describeRun(lines: readonly HistoryLine[], gaps: readonly string[]): string {
  const counts = {
    tasks: new Map<string, number>(),
    faults: new Map<string, number>(),
    calls: new Map<string, Map<string, number>>(),
  };
  let events = 0;
  let received = 0;
  let attempts = 0;
  const call = (method: string, outcome: string) => {
    const outcomes = counts.calls.get(method) ?? new Map<string, number>();
    counts.calls.set(method, outcomes);
    count(outcomes, outcome);
  };
  for (const line of lines) {
    switch (line.type) {
      case "fault":
        count(counts.faults, line.name);
        break;
      case "settled":
        count(counts.tasks, line.code === undefined ? line.status : outcomeOf(line));
        if (line.code === undefined) events += line.events.length;
        break;
      case "event":
      case "news":
        received++;
        break;
      case "attempt":
        if (line.what === "began") attempts++;
        break;
      case "ended":
      case "tasks_ended":
        call(
          line.type === "ended" ? "follow a tape" : "follow many",
          line.reason === "failed" ? outcomeOf(line.error) : line.reason,
        );
        break;
      case "listed":
        call("list", outcomeOf(line));
    }
    if (isAnswered(line)) call(line.type.replace("_answered", ""), outcomeOf(line));
  }
  const text = [
    `tasks: ${total(counts.tasks)} (${listed(counts.tasks)})`,
    `events on the tapes: ${events}; received by followers: ${received}; attempts: ${attempts}; lines: ${lines.length}`,
    `faults: ${total(counts.faults)} of ${counts.faults.size} kinds (${listed(counts.faults)})`,
    ...[...counts.calls].map(([method, outcomes]) => `calls, ${method}: ${total(outcomes)} (${listed(outcomes)})`),
    ...gaps.map((gap) => `left out: ${gap}`),
  ];
  return text.join("\n");
}

function outcomeOf(line: { code?: string | undefined; reason?: string | null; isLocal?: boolean }): string {
  if (line.code === undefined) return "ok";
  return line.isLocal === true ? `${line.code} at the caller` : (line.reason ?? `${line.code} without a reason`);
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, value) => sum + value, 0);
}

function listed(counts: ReadonlyMap<string, number>): string {
  const entries = [...counts].toSorted(([, one], [, other]) => other - one);
  return entries.map(([name, value]) => `${name} ${value}`).join(", ");
}
