import { quantile } from "../../../bench/statistics.ts";
import type { Findings } from "./scenario.ts";
import { faultsOf, overlaps } from "./tapes.ts";
import type { StoredTape } from "./tapes.ts";
import { attemptsOf, lostAttempts, numberFaults, storedFaults } from "./worker-checks.ts";
import type { CrewMember } from "./worker-crew.ts";
import type { WorkerNote } from "./worker-notes.ts";
import { endFaults, plannedTask } from "./worker-tasks.ts";

/** What is there when all is over. */
interface Aftermath {
  /** The tapes of the tasks that workers ran. */
  tapes: ReadonlyMap<string, StoredTape>;
  /** How many tasks were started. */
  tasks: number;
  /** How many tasks a worker runs at once. */
  concurrency: number;
  crew: readonly CrewMember[];
  notes: readonly WorkerNote[];
}

/** Counts what was done, and what is wrong with it. */
export function checkWorkers(findings: Findings, { tapes, tasks, notes, ...aftermath }: Aftermath): void {
  findings.expect(tapes.size === tasks, `there are ${tapes.size} tasks of ${tasks}`);
  const byTask = Map.groupBy(notes, (note) => ("taskId" in note ? note.taskId : null));
  const ofSessions = byTask.get(null) ?? [];
  const processes = aftermath.crew.flatMap((worker) => worker.processes);
  const ends = new Map(processes.flatMap(({ pid, endedAt }) => (endedAt === null ? [] : [[pid, endedAt]])));
  for (const tape of tapes.values()) {
    const ofTask = byTask.get(tape.taskId) ?? [];
    checkTape(findings, tape, ofTask);
    for (const { attempt, because, afterMs } of lostAttempts(tape, [...ofTask, ...ofSessions], ends)) {
      findings.count(`attempts lost: ${because}`);
      const what = `attempt ${attempt} of task ${tape.taskId} is lost, ${afterMs.toFixed(0)} ms after its last event`;
      findings.expect(because !== "none", `${what}, and its worker had not gone`);
    }
  }
  for (const overlap of overlaps(tapes.values())) findings.violation("exclusive tasks overlap", overlap);
  checkWorkersNotes(findings, { notes, ...aftermath });
  recordTimes(findings, [...tapes.values()]);
}

function checkTape(findings: Findings, tape: StoredTape, notes: readonly WorkerNote[]): void {
  findings.count(`tasks ${tape.status}`);
  findings.count("attempts", tape.attempt);
  findings.count("events", tape.events.length);
  const stored = notes.filter(({ type }) => type === "stored");
  const furthest = new Map<number, number>();
  for (const note of notes) if (note.type === "stored") furthest.set(note.attempt, note.events);
  findings.count("flushes that were told they are stored", stored.length);
  for (const events of furthest.values()) findings.count("events that were told to be stored", events);
  const planned = plannedTask(Number(tape.requestId?.split("-")[1]));
  const faults = [...faultsOf(tape), ...numberFaults(tape), ...storedFaults(tape, notes), ...endFaults(planned, tape)];
  if (faults.length > 0) findings.violation(`task ${tape.taskId} (${tape.kind}):`, faults);
}

function checkWorkersNotes(
  findings: Findings,
  { crew, notes, concurrency }: Pick<Aftermath, "crew" | "notes" | "concurrency">,
): void {
  const nameOf = new Map(crew.flatMap(({ name, processes }) => processes.map(({ pid }) => [pid, name])));
  const known = new Set<number>();
  const idle = new Set(nameOf.values());
  let resumed = 0;
  for (const note of notes) {
    switch (note.type) {
      case "connected":
        findings.count(note.resumed ? "sessions resumed" : known.has(note.pid) ? "sessions lost" : "sessions new");
        known.add(note.pid);
        if (note.resumed) resumed++;
        break;
      case "began":
        findings.count(`attempts at ${nameOf.get(note.pid)}`);
        idle.delete(nameOf.get(note.pid)!);
        findings.expect(note.running <= concurrency, `a worker for ${concurrency} tasks ran ${note.running}`, note);
        break;
      case "refused":
        findings.violation(`a worker was refused what it sent of ${note.taskId}`, note);
    }
  }
  findings.expect(resumed > 0, "no session was resumed");
  findings.expect(idle.size === 0, "workers ran nothing:", [...idle].join(", "));
}

/** Where something stands still, it shows here. */
function recordTimes(findings: Findings, tapes: readonly StoredTape[]): void {
  const cancelsMs: number[] = [];
  const pausesMs: number[] = [];
  for (const tape of tapes) {
    const { events } = tape;
    const asked = events.find(({ type }) => type === "cancel_requested");
    if (asked !== undefined) cancelsMs.push((events.at(-1)!.timeUs - asked.timeUs) / 1_000);
    for (const { emitted } of attemptsOf(tape)) {
      emitted.forEach(({ timeUs }, index) => index > 0 && pausesMs.push((timeUs - emitted[index - 1]!.timeUs) / 1_000));
    }
  }
  for (const [name, ms] of [
    ["cancel to final, ms", cancelsMs],
    ["between two events of an attempt, ms", pausesMs],
  ] as const) {
    const [p50, p99, max] = [0.5, 0.99, 1].map((share) => quantile(ms, share).toFixed(1));
    findings.record(name, `p50 ${p50}, p99 ${p99}, max ${max}`);
  }
}
