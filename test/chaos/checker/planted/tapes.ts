import type { PageAnswered, Refusal, SeenEvent } from "../../history.ts";
import { acknowledged, finalOf } from "../facts.ts";
import type { TaskFacts } from "../facts.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";

type Page = Exclude<PageAnswered, Refusal>;

function pagesOf(task: TaskFacts): Page[] {
  return task.pages.flatMap((call) => acknowledged(call)?.answered.line ?? []);
}

/** The last_seq of every answer about a task. */
function answeredSeqs(task: TaskFacts): number[] {
  const lines = [...task.starts, ...task.reads, ...task.pages, ...task.cancels].map(({ answered }) => answered?.line);
  return lines.flatMap((line) => (line !== undefined && "lastSeq" in line ? line.lastSeq : []));
}

/** Returns the seq of an event by which the tape goes on in the same attempt. */
function plainSeq(task: TaskFacts): number | null {
  const isPlain = (seq: number) => ["progress", "log", "partial"].includes(task.tape.get(seq)?.event.type ?? "");
  return [...task.tape.keys()].find((seq) => isPlain(seq) && isPlain(seq + 1)) ?? null;
}

export const TAPE_BUGS: readonly PlantedBug[] = [
  {
    name: "a tape has a gap",
    promise: "seqs-gapless",
    linesMax: 3,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const seq = plainSeq(task);
        const isLast = pagesOf(task).some(({ nextFromSeq }) => nextFromSeq - 1 === seq);
        return seq === null || isLast || draft.isFolded(task) ? null : { taskId: task.taskId, seq };
      });
      if (found === null) return false;
      draft.mapEvents(found.taskId, (event) => (event.seq === found.seq ? null : event));
      return true;
    },
  },
  {
    name: "a page leaves out an event",
    promise: "seqs-gapless",
    linesMax: 2,
    plant(draft) {
      const page = Draft.first(draft.settledTasks.flatMap(pagesOf), (each) => (each.events.length > 2 ? each : null));
      page?.events.splice(1, 1);
      return page !== null;
    },
  },
  {
    name: "a page repeats an event",
    promise: "no-event-doubled",
    linesMax: 2,
    plant(draft) {
      const page = Draft.first(draft.settledTasks.flatMap(pagesOf), (each) => (each.events.length > 0 ? each : null));
      page?.events.push(page.events.at(-1)!);
      return page !== null;
    },
  },
  {
    name: "a body changes after the event was delivered live",
    promise: "event-never-changes",
    linesMax: 3,
    plant(draft) {
      const line = draft.lines.find((each) => each.type === "event" && each.eventType === "progress");
      if (line?.type === "event") line.digest = "other";
      return line !== undefined;
    },
  },
  {
    name: "a page shows an event with another type",
    promise: "event-never-changes",
    linesMax: 4,
    plant(draft) {
      const event = Draft.first(
        draft.settledTasks.flatMap(pagesOf).flatMap(({ events }) => events),
        (each) => (each.type === "log" ? each : null),
      );
      if (event !== null) event.type = "progress";
      return event !== null;
    },
  },
  {
    name: "an event that was shown is gone at the end",
    promise: "acknowledged-event-durable",
    linesMax: 3,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const seen = task.sightings.find(
          ({ event, index }) => event.type === "progress" && index !== task.settled!.index,
        );
        return seen === undefined ? null : { taskId: task.taskId, seq: seen.event.seq };
      });
      if (found === null) return false;
      draft.changeSettled(found.taskId, (settled) => ({
        ...settled,
        events: settled.events.filter(({ seq }) => seq !== found.seq),
      }));
      return true;
    },
  },
  {
    name: "a tape that was shown is gone, and its start was not answered",
    promise: "acknowledged-event-durable",
    linesMax: 3,
    plant(draft) {
      const task = draft.settledTasks.find(({ sightings }) => sightings.some(({ by }) => by.startsWith("follower ")));
      if (task === undefined) return false;
      const { taskId, namespace } = task;
      const kept = ["event", "news", "opened", "ended", "attempt", "settled"];
      draft.removeAll((line) => "taskId" in line && line.taskId === taskId && !kept.includes(line.type));
      draft.removeAll((line) => line.type === "start_sent" && task.starts.some(({ sent }) => sent.line === line));
      const refused = { code: "NOT_FOUND", reason: "TASK_NOT_FOUND", message: "there is no such task", isLocal: false };
      draft.changeSettled(taskId, ({ at }) => ({ type: "settled", at, taskId, namespace, ...refused }));
      return true;
    },
  },
  {
    name: "a tape has two finals",
    promise: "one-final",
    linesMax: 2,
    plant(draft) {
      const [task] = draft.settledTasks;
      if (task === undefined) return false;
      const { seq, outcome } = finalOf(task)!.event;
      const second: SeenEvent = {
        seq: seq + 1,
        type: "final",
        digest: "second",
        status: task.tapeAtEnd.status,
        outcome: outcome!,
      };
      task.tapeAtEnd.events.push(second);
      task.tapeAtEnd.lastSeq++;
      return true;
    },
  },
  {
    name: "an attempt appends after the final",
    promise: "final-last",
    linesMax: 2,
    plant(draft) {
      const [task] = draft.settledTasks;
      if (task === undefined) return false;
      task.tapeAtEnd.events.push({ seq: draft.finalSeq(task) + 1, type: "progress", digest: "late" });
      task.tapeAtEnd.lastSeq++;
      return true;
    },
  },
  {
    name: "a second attempt has the number of the first",
    promise: "attempts-ascend",
    linesMax: 2,
    plant(draft) {
      const task = draft.settledTasks.find(({ tape }) => [...tape.values()].some(({ event }) => event.attempt === 2));
      if (task === undefined) return false;
      const renumber = (attempt: number) => Math.max(1, attempt - 1);
      draft.mapEvents(task.taskId, (event) =>
        event.attempt === undefined ? event : { ...event, attempt: renumber(event.attempt) },
      );
      for (const line of draft.lines) {
        const isOf = "taskId" in line && line.taskId === task.taskId;
        if (isOf && line.type !== "attempt" && "attempt" in line && line.type !== "event" && line.type !== "news") {
          line.attempt = Math.min(line.attempt!, renumber(line.attempt!));
        }
      }
      return answeredSeqs(task).every((seq) => seq < secondStart(task));
    },
  },
  {
    name: "an event comes before its attempt",
    promise: "attempts-ascend",
    linesMax: 2,
    plant(draft) {
      const task = draft.settledTasks.find(
        (each) => ["progress", "log"].includes(each.tape.get(2)?.event.type ?? "") && !answeredSeqs(each).includes(1),
      );
      if (task === undefined) return false;
      const [first, second] = [task.tape.get(1)!.event, task.tape.get(2)!.event];
      draft.mapEvents(task.taskId, (event) => {
        if (event.seq === 1) return { seq: 1, type: second.type, digest: second.digest };
        return event.seq === 2 ? { ...first, seq: 2 } : event;
      });
      // The spread over a line leaves the number of the attempt in it.
      for (const line of draft.lines) {
        if ((line.type === "event" || line.type === "news") && line.taskId === task.taskId && line.seq === 1)
          delete line.attempt;
      }
      return true;
    },
  },
  {
    name: "two attempts are on the tape at once",
    promise: "one-attempt-at-a-time",
    linesMax: 2,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const seq = [...task.tape].find(([, { event }]) => event.type === "retrying")?.[0];
        return seq === undefined || answeredSeqs(task).includes(seq) || task.tape.get(seq + 1)?.event.type !== "started"
          ? null
          : { task, seq };
      });
      if (found === null) return false;
      draft.mapEvents(found.task.taskId, (event) => (event.seq === found.seq ? { ...event, type: "log" } : event));
      return true;
    },
  },
  {
    name: "a folded event loses a text",
    promise: "folded-equals-recorded",
    linesMax: 6,
    plant(draft) {
      const part = Draft.first(draft.settledTasks, ({ sightings }) =>
        Draft.first(sightings, ({ event }) => event.parts?.find(({ text }) => text !== undefined) ?? null),
      );
      if (part !== null) part.text = part.text!.slice(1);
      return part !== null;
    },
  },
  {
    name: "a folded event covers a log line",
    promise: "folded-equals-recorded",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const folded = task.sightings.find(({ event }) => event.type === "folded")?.event;
        return folded === undefined ? null : { task, seq: folded.seq };
      });
      if (found === null) return false;
      draft.mapEvents(found.task.taskId, (event) => {
        if (event.seq !== found.seq || event.type === "folded") return event;
        const { series: _, ...rest } = event;
        return { ...rest, type: "log" };
      });
      for (const line of draft.lines) {
        if ((line.type === "event" || line.type === "news") && line.eventType === "log") delete line.series;
      }
      return true;
    },
  },
];

function secondStart({ tape }: TaskFacts): number {
  return [...tape.values()].find(({ event }) => event.attempt === 2)!.event.seq;
}
