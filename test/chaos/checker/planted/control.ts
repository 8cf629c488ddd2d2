import type { CancelAnswered, HistoryLine, ReadAnswered, ReadSent, Refusal, Status } from "../../history.ts";
import { acknowledged, finalOf } from "../facts.ts";
import type { Acknowledged, TaskFacts } from "../facts.ts";
import { answersOf, isTerminal } from "../reads.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";

type CancelAnswer = Pick<Exclude<CancelAnswered, Refusal>, "outcome" | "status" | "lastSeq" | "attempt">;
type Read = Acknowledged<ReadSent, ReadAnswered>;

const LONG_MS = 100_000;

/** Adds a cancel of a client of its own. */
function addCancel(draft: Draft, after: HistoryLine, task: TaskFacts, answer: CancelAnswer): void {
  const { taskId, namespace } = task;
  const from = { at: after.at, client: "canceller", call: 1, taskId };
  draft.insertAfter(
    after,
    { type: "cancel_sent", namespace, ...from },
    { type: "cancel_answered", ...from, ...answer },
  );
}

/** Returns the last read that shows a task as running that nothing has cancelled, before any reader has seen the end. */
function lastRunning(draft: Draft): { task: TaskFacts; read: Read } | null {
  return Draft.first(draft.settledTasks, (task) => {
    if (task.cancels.length > 0) return null;
    const reads = task.reads.map((call) => acknowledged(call)).filter((read) => read !== null);
    const read = reads.findLast(({ answered }) => answered.line.status === "running");
    if (read === undefined || finalOf(task)!.index < read.answered.index) return null;
    const isLast = answersOf(task).every(
      ({ index, sentIndex, status }) =>
        index > read.answered.index === isTerminal(status) && (!isTerminal(status) || sentIndex > read.answered.index),
    );
    return isLast ? { task, read } : null;
  });
}

function statusOf(task: TaskFacts): Status {
  return finalOf(task)!.event.status!;
}

/** A delete with the first read after it that was refused. */
function refusedRead(draft: Draft) {
  return Draft.first(draft.facts.tasks.values(), (task) => {
    const [deleted] = task.deletes.map((call) => acknowledged(call)).filter((call) => call !== null);
    const read = task.reads.find(
      ({ sent, answered }) =>
        deleted !== undefined && sent.index > deleted.answered.index && answered?.line.code === "NOT_FOUND",
    );
    const final = finalOf(task);
    const isPlain = final?.event.status !== undefined && read !== undefined && final.index < deleted!.answered.index;
    return isPlain ? { task, line: read.answered!.line, final: final.event } : null;
  });
}

export const CONTROL_BUGS: readonly PlantedBug[] = [
  {
    name: "a cancel is answered with requested and not recorded",
    promise: "cancel-outcome-true",
    linesMax: 3,
    plant(draft) {
      const found = lastRunning(draft);
      if (found === null) return false;
      const { lastSeq, attempt } = found.read.answered.line;
      addCancel(draft, found.read.answered.line, found.task, {
        outcome: "requested",
        status: "running",
        lastSeq,
        attempt,
      });
      return true;
    },
  },
  {
    name: "a cancel is answered with cancelled, and the task succeeds",
    promise: "cancel-outcome-true",
    linesMax: 4,
    plant(draft) {
      const found = lastRunning(draft);
      if (found === null || statusOf(found.task) !== "succeeded") return false;
      const { lastSeq, attempt } = found.read.answered.line;
      addCancel(draft, found.read.answered.line, found.task, {
        outcome: "cancelled",
        status: "cancelled",
        lastSeq,
        attempt,
      });
      return true;
    },
  },
  {
    name: "a cancel of a running task is answered with already_terminal",
    promise: "cancel-outcome-true",
    linesMax: 4,
    plant(draft) {
      const found = lastRunning(draft);
      if (found === null) return false;
      const { sent, answered } = found.read;
      const { attempt } = answered.line;
      addCancel(draft, draft.lines[sent.index - 1]!, found.task, {
        outcome: "already_terminal",
        status: statusOf(found.task),
        lastSeq: 1,
        attempt,
      });
      return true;
    },
  },
  {
    name: "a task runs on after its cancel and its grace",
    promise: "cancel-ends-task",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const [cancel, ...others] = task.cancels.map((call) => acknowledged(call));
        if (cancel?.answered.line.outcome !== "requested" || others.length > 0) return null;
        const isLater = answersOf(task).some(({ index }) => index > cancel.answered.index);
        const isLast = task.sightings.every(
          ({ index }) => index < cancel.answered.index || index === task.settled!.index,
        );
        return isLast && !isLater ? { task, line: cancel.answered.line } : null;
      });
      if (found === null) return false;
      const { task, line } = found;
      for (const later of draft.lines.slice(draft.lines.indexOf(line) + 1)) later.at += LONG_MS;
      const { taskId, namespace } = task;
      const from = { at: line.at + LONG_MS - 1, client: "reader", call: 1, taskId };
      const state = {
        status: "running" as const,
        lastSeq: line.lastSeq,
        attempt: line.attempt,
        isCancelRequested: true,
      };
      draft.insertAfter(line, { type: "read_sent", namespace, ...from }, { type: "read_answered", ...from, ...state });
      return true;
    },
  },
  {
    name: "a cancelled task gets another attempt",
    promise: "cancel-ends-task",
    linesMax: 2,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, (task) => {
        const retry = [...task.tape.values()].find(({ event }) => event.type === "retrying")?.event.seq;
        const before = retry === undefined ? undefined : task.tape.get(retry - 1)?.event;
        return before !== undefined && before.type !== "started" && !draft.isFolded(task)
          ? { task, seq: before.seq }
          : null;
      });
      if (found === null) return false;
      draft.mapEvents(found.task.taskId, (event) =>
        event.seq === found.seq ? { seq: event.seq, type: "cancel_requested", digest: event.digest } : event,
      );
      return true;
    },
  },
  {
    name: "a task never ends",
    promise: "every-task-ends",
    linesMax: 2,
    plant(draft) {
      const found = draft.settledTasks.find(
        (task) =>
          task.cancels.length === 0 &&
          task.tape.get(draft.finalSeq(task) - 1)?.event.type !== "retrying" &&
          draft.finalSeq(task) > 1,
      );
      if (found === undefined) return false;
      const { taskId } = found;
      const isEnd = (line: HistoryLine) =>
        "taskId" in line &&
        line.taskId === taskId &&
        line.type !== "settled" &&
        "status" in line &&
        isTerminal(line.status!);
      draft.removeAll(
        (line) => isEnd(line) || (line.type === "ended" && line.taskId === taskId && line.reason === "final"),
      );
      draft.mapEvents(taskId, (event) => (event.type === "final" ? null : event));
      draft.changeSettled(taskId, (settled) => ({
        ...settled,
        status: "running",
        lastSeq: settled.lastSeq - 1,
        result: null,
      }));
      return true;
    },
  },
  {
    name: "an attempt runs in two processes",
    promise: "one-attempt-at-a-time",
    linesMax: 2,
    plant(draft) {
      const line = draft.lines.find((each) => each.type === "attempt" && each.what === "began");
      if (line?.type !== "attempt") return false;
      draft.insertAfter(line, { ...line, worker: "worker-999", pid: 999 });
      return true;
    },
  },
  {
    name: "an attempt that has lost its task appends an event",
    promise: "one-attempt-at-a-time",
    linesMax: 3,
    plant(draft) {
      const found = Draft.first(draft.settledTasks, ({ taskId, tape }) => {
        const second = [...tape.values()].find(({ event }) => event.attempt === 2)?.event.seq;
        const next = second === undefined ? undefined : tape.get(second + 1)?.event;
        return next?.type === "progress" ? { taskId, seq: next.seq } : null;
      });
      if (found === null) return false;
      draft.mapEvents(found.taskId, (event) => (event.seq === found.seq ? { ...event, attempt: 1 } : event));
      return true;
    },
  },
  {
    name: "an attempt that has lost its task ends the task",
    promise: "one-attempt-at-a-time",
    linesMax: 2,
    plant(draft) {
      const line = Draft.first(draft.settledTasks, ({ taskId, tapeAtEnd }) => {
        if (tapeAtEnd.status !== "succeeded" || tapeAtEnd.attempt < 2) return null;
        const isEnd = (each: HistoryLine) =>
          each.type === "attempt" && each.taskId === taskId && each.how === "returned";
        const ends = draft.lines.filter((each) => each.type === "attempt").filter(isEnd);
        return ends.find(({ attempt }) => attempt === tapeAtEnd.attempt) ?? null;
      });
      if (line !== null) line.how = "threw";
      return line !== null;
    },
  },
  {
    name: "two tasks of an exclusive key run at once",
    promise: "one-attempt-at-a-time",
    linesMax: 14,
    plant(draft) {
      const tasks = draft.settledTasks.filter(
        (task) =>
          task.starts[0]!.sent.line.exclusiveKey !== null &&
          statusOf(task) === "succeeded" &&
          task.namespace === "default",
      );
      const lastRun = ({ taskId, tapeAtEnd }: (typeof tasks)[number]) =>
        draft.lines.filter(
          (line) => line.type === "attempt" && line.taskId === taskId && line.attempt === tapeAtEnd.attempt,
        );
      const [first, second] = tasks.map(lastRun).toSorted((a, b) => (a[0]?.at ?? 0) - (b[0]?.at ?? 0));
      const [end, began] = [first?.at(-1), second?.[0]];
      const isWhole =
        end?.type === "attempt" && end.how === "returned" && began?.type === "attempt" && began.what === "began";
      if (!isWhole || second!.at(-1)!.at <= began.at) return false;
      end.at = began.at + 1_000;
      return true;
    },
  },
  {
    name: "a deleted task is back",
    promise: "deleted-stays-deleted",
    linesMax: 4,
    plant(draft) {
      const found = refusedRead(draft);
      if (found === null) return false;
      const { task, line, final } = found;
      const { at, client, call, taskId } = line;
      const attempt = Math.max(0, ...[...task.tape.values()].map(({ event }) => event.attempt ?? 0));
      const state = { status: final.status!, lastSeq: final.seq, attempt, isCancelRequested: true };
      draft.replace(line, { type: "read_answered", at, client, call, taskId, ...state });
      return true;
    },
  },
  {
    name: "a deleted task is in a list",
    promise: "deleted-stays-deleted",
    linesMax: 3,
    plant(draft) {
      const list = Draft.first(draft.facts.tasks.values(), (task) => {
        const [deleted] = task.deletes.map((call) => acknowledged(call)).filter((call) => call !== null);
        const line = draft.lines.find(
          (each) =>
            deleted !== undefined &&
            each.type === "listed" &&
            each.namespace === task.namespace &&
            each.sentAt > deleted.answered.line.at,
        );
        return line?.type === "listed" && line.code === undefined ? { line, taskId: task.taskId } : null;
      });
      list?.line.taskIds.push(list.taskId);
      return list !== null;
    },
  },
];
