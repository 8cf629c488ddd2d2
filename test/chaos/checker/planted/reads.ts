import type { PageAnswered, ReadAnswered, Refusal, ResultAnswered } from "../../history.ts";
import { acknowledged, finalOf } from "../facts.ts";
import type { Acknowledged, TaskFacts } from "../facts.ts";
import type { ReadSent } from "../../history.ts";
import { answersOf, isTerminal } from "../reads.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";

type Read = Acknowledged<ReadSent, ReadAnswered>;

function readsOf(task: TaskFacts): Read[] {
  return task.reads.map((call) => acknowledged(call)).filter((read) => read !== null);
}

/** The reads of tasks that were never cancelled. */
function uncancelledReads(draft: Draft): { task: TaskFacts; read: Read }[] {
  const tasks = draft.settledTasks.filter(({ cancels }) => cancels.length === 0);
  return tasks.flatMap((task) => readsOf(task).map((read) => ({ task, read })));
}

/** Whether a reader had seen the end of the task before a call. */
function isEndSeen(task: TaskFacts, index: number): boolean {
  const isSeen = finalOf(task)!.index < index;
  return isSeen || answersOf(task).some((answer) => answer.index < index && isTerminal(answer.status));
}

export const READ_BUGS: readonly PlantedBug[] = [
  {
    name: "a read shows the final and a running status",
    promise: "status-with-final",
    linesMax: 4,
    plant(draft) {
      const found = uncancelledReads(draft).find(
        ({ task, read: { sent, answered } }) => isTerminal(answered.line.status) && !isEndSeen(task, sent.index),
      );
      if (found !== undefined) found.read.answered.line.status = "running";
      return found !== undefined;
    },
  },
  {
    name: "a page shows the final and a running status",
    promise: "status-with-final",
    linesMax: 3,
    plant(draft) {
      const found = draft.settledTasks.flatMap((task) =>
        task.pages.flatMap((call) => {
          const page = acknowledged(call);
          const hasFinal = page?.answered.line.events.at(-1)?.type === "final";
          return hasFinal && task.cancels.length === 0 && !isEndSeen(task, page.sent.index) ? [page.answered.line] : [];
        }),
      )[0];
      if (found !== undefined) (found as Exclude<PageAnswered, Refusal>).status = "running";
      return found !== undefined;
    },
  },
  {
    name: "a read shows the end before the final is on the tape",
    promise: "status-with-final",
    linesMax: 3,
    plant(draft) {
      const found = uncancelledReads(draft).find(({ task, read }) => {
        const isLast = answersOf(task).every(
          ({ sentIndex, status }) => sentIndex <= read.answered.index || isTerminal(status),
        );
        return read.answered.line.status === "running" && isLast;
      });
      if (found !== undefined) found.read.answered.line.status = finalOf(found.task)!.event.status!;
      return found !== undefined;
    },
  },
  {
    name: "GetResult is refused after the final was shown",
    promise: "status-with-final",
    linesMax: 4,
    plant(draft) {
      const found = draft.settledTasks.flatMap((task) =>
        task.results.flatMap((call) => {
          const result = acknowledged(call);
          return result !== null && isEndSeen(task, result.sent.index) ? [result.answered.line] : [];
        }),
      )[0];
      if (found === undefined) return false;
      const { at, client, call, taskId } = found;
      const refusal = { code: "FAILED_PRECONDITION", reason: "TASK_NOT_TERMINAL", message: "running", isLocal: false };
      draft.replace(found, { type: "result_answered", at, client, call, taskId, ...refusal });
      return true;
    },
  },
  {
    name: "a status goes back to running",
    promise: "reads-go-forward",
    linesMax: 4,
    plant(draft) {
      const found = uncancelledReads(draft).find(
        ({ task, read: { sent, answered } }) =>
          isTerminal(answered.line.status) &&
          task.starts.every((start) => !isTerminal(start.answered.line.status)) &&
          readsOf(task).some(
            (other) =>
              other.answered.index < sent.index &&
              isTerminal(other.answered.line.status) &&
              other.sent.line.client === sent.line.client,
          ),
      );
      if (found !== undefined) found.read.answered.line.status = "running";
      return found !== undefined;
    },
  },
  {
    name: "last_seq goes back",
    promise: "reads-go-forward",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(uncancelledReads(draft), ({ task, read: { sent, answered } }) => {
        const earlier = readsOf(task).find(
          (other) =>
            other.answered.index < sent.index &&
            other.answered.line.lastSeq > 1 &&
            other.answered.line.status === "running",
        );
        if (answered.line.status !== "running" || earlier === undefined) return null;
        return { line: answered.line, lastSeq: earlier.answered.line.lastSeq - 1 };
      });
      if (found !== null) found.line.lastSeq = found.lastSeq;
      return found !== null;
    },
  },
  {
    name: "a read is older than an event that a follower received",
    promise: "reads-go-forward",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(uncancelledReads(draft), ({ task, read: { sent, answered } }) => {
        const seen = task.sightings.find(
          ({ by, index, event }) =>
            by.startsWith("follower") && index < sent.index && event.seq > 1 && event.type !== "final",
        );
        return seen !== undefined && answered.line.status === "running"
          ? { line: answered.line, lastSeq: seen.event.seq - 1 }
          : null;
      });
      if (found !== null) found.line.lastSeq = found.lastSeq;
      return found !== null;
    },
  },
  {
    name: "a read is older than the caller's own cancel",
    promise: "read-your-writes",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const cancel = task.cancels
          .map((call) => acknowledged(call))
          .find((call) => call?.answered.line.outcome === "cancelled");
        const read = readsOf(task).find(({ sent }) => cancel != null && sent.index > cancel.answered.index);
        return read?.answered.line ?? null;
      });
      if (found === null) return false;
      found.status = "pending";
      found.lastSeq--;
      return true;
    },
  },
  {
    name: "a read does not show a requested cancel",
    promise: "read-your-writes",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const cancel = task.cancels
          .map((call) => acknowledged(call))
          .find((call) => call?.answered.line.outcome === "requested");
        const isAfter = ({ sent, answered }: Read) =>
          cancel != null && sent.index > cancel.answered.index && answered.line.status === "running";
        return readsOf(task).find(isAfter)?.answered.line ?? null;
      });
      if (found !== null) found.isCancelRequested = false;
      return found !== null;
    },
  },
  {
    name: "a page has events of one snapshot and has_more of another",
    promise: "one-snapshot",
    linesMax: 2,
    plant(draft) {
      const page = draft.lines.find((line) => line.type === "page_answered" && "hasMore" in line);
      if (page?.type !== "page_answered" || !("hasMore" in page)) return false;
      page.hasMore = !page.hasMore;
      return true;
    },
  },
  {
    name: "a read has the attempt of another snapshot",
    promise: "one-snapshot",
    linesMax: 7,
    plant(draft) {
      const found = uncancelledReads(draft).find(({ read }) => read.answered.line.attempt > 0);
      if (found !== undefined) found.read.answered.line.attempt++;
      return found !== undefined;
    },
  },
  {
    name: "a result differs from the final",
    promise: "result-equals-final",
    linesMax: 4,
    plant(draft) {
      const result = Draft.first(draft.settledTasks, (task) =>
        Draft.first(task.results, (call) => acknowledged(call)?.answered.line ?? null),
      );
      if (result !== null) (result as Exclude<ResultAnswered, Refusal>).digest = "other";
      return result !== null;
    },
  },
];
