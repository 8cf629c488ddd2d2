import type { HistoryLine, Refusal } from "../../history.ts";
import { acknowledged, isAnswer } from "../facts.ts";
import { Draft } from "./draft.ts";
import type { PlantedBug } from "./draft.ts";

const NOT_FOUND: Refusal = {
  code: "NOT_FOUND",
  reason: "TASK_NOT_FOUND",
  message: "there is no such task",
  isLocal: false,
};

/** Returns an error that a server has sent. */
function refusedLine(draft: Draft): (HistoryLine & Refusal) | null {
  return Draft.first(draft.lines, (line) =>
    line.type.endsWith("_answered") &&
    "code" in line &&
    line.code !== undefined &&
    !line.isLocal &&
    line.reason === "STORE_UNAVAILABLE"
      ? line
      : null,
  );
}

export const START_BUGS: readonly PlantedBug[] = [
  {
    name: "a task whose start was answered is gone",
    promise: "acknowledged-start-exists",
    linesMax: 3,
    plant(draft) {
      const [task] = draft.settledTasks;
      if (task === undefined) return false;
      const { taskId, namespace } = task;
      const kept = ["start_answered", "attempt", "settled"];
      draft.removeAll((line) => "taskId" in line && line.taskId === taskId && !kept.includes(line.type));
      draft.changeSettled(taskId, ({ at }) => ({ type: "settled", at, taskId, namespace, ...NOT_FOUND }));
      return true;
    },
  },
  {
    name: "a task expires that was not deleted",
    promise: "acknowledged-start-exists",
    linesMax: 4,
    plant(draft) {
      const line = Draft.first(draft.settledTasks, (task) =>
        Draft.first(task.reads, (call) => {
          const read = acknowledged(call);
          return read !== null && read.sent.index > task.starts[0]!.answered.index ? read.answered.line : null;
        }),
      );
      if (line === null) return false;
      const { at, client, call, taskId } = line;
      draft.replace(line, { type: "read_answered", at, client, call, taskId, ...NOT_FOUND, reason: "TASK_EXPIRED" });
      return true;
    },
  },
  {
    name: "a repeated start starts a second task",
    promise: "one-task-per-request-id",
    linesMax: 4,
    plant(draft) {
      const line = Draft.first(draft.settledTasks, ({ starts }) =>
        starts.length > 1 && starts[0]!.sent.line.requestId !== null ? starts.at(-1)!.answered.line : null,
      );
      if (line === null) return false;
      const namespace = draft.facts.tasks.get(line.taskId)!.namespace;
      for (const list of draft.lines) {
        if (list.type === "listed" && isAnswer(list) && list.namespace === namespace && list.sentAt > line.at)
          list.taskIds.unshift("task-999");
      }
      Object.assign(line, { taskId: "task-999", alreadyStarted: false, status: "pending", lastSeq: 0, attempt: 0 });
      return true;
    },
  },
  {
    name: "a start without an answer leaves a second task",
    promise: "one-task-per-request-id",
    linesMax: 2,
    plant(draft) {
      const task = draft.settledTasks.find(({ tapeAtEnd }) => tapeAtEnd.requestId !== null);
      if (task === undefined) return false;
      draft.insertAfter(task.settled!.line, { ...task.tapeAtEnd, taskId: "task-999" });
      return true;
    },
  },
  {
    name: "a request_id with other content is not refused",
    promise: "one-task-per-request-id",
    linesMax: 4,
    plant(draft) {
      const found = Draft.first(draft.facts.starts, ({ sent, answered }) => {
        if (answered === null || isAnswer(answered.line) || answered.line.reason !== "REQUEST_ID_REUSED") return null;
        const task = draft.settledTasks.find(({ starts }) => {
          const [first] = starts;
          const isSame =
            first?.sent.line.requestId === sent.line.requestId && first?.sent.line.namespace === sent.line.namespace;
          return isSame && first!.sent.line.params !== sent.line.params && first!.answered.index < sent.index;
        });
        return task === undefined ? null : { line: answered.line, task };
      });
      if (found === null) return false;
      const { at, client, call } = found.line;
      const state = found.task.starts[0]!.answered.line;
      draft.replace(found.line, { ...state, at, client, call, alreadyStarted: true });
      return true;
    },
  },
  {
    name: "a list leaves out a task",
    promise: "list-complete",
    linesMax: 3,
    plant(draft) {
      const found = Draft.first(draft.lines, (line) => {
        if (line.type !== "listed" || !isAnswer(line) || line.statuses.length > 0) return null;
        const task = draft.settledTasks.find(
          ({ taskId, starts }) => line.taskIds.includes(taskId) && starts[0]!.answered.line.at < line.sentAt,
        );
        return task === undefined ? null : { line, taskId: task.taskId };
      });
      if (found === null) return false;
      found.line.taskIds = found.line.taskIds.filter((taskId) => taskId !== found.taskId);
      return true;
    },
  },
  {
    name: "a task is on two pages of a list",
    promise: "list-complete",
    linesMax: 1,
    plant(draft) {
      const list = draft.lines.find((line) => line.type === "listed" && isAnswer(line) && line.taskIds.length > 1);
      if (list?.type !== "listed") return false;
      list.taskIds.push(list.taskIds[0]!);
      return true;
    },
  },
  {
    name: "a call fails with INTERNAL",
    promise: "refusal-has-reason",
    linesMax: 1,
    plant(draft) {
      const line = refusedLine(draft);
      if (line !== null) Object.assign(line, { code: "INTERNAL", reason: "INTERNAL" });
      return line !== null;
    },
  },
  {
    name: "an error has no reason",
    promise: "refusal-has-reason",
    linesMax: 1,
    plant(draft) {
      const line = refusedLine(draft);
      if (line !== null) line.reason = null;
      return line !== null;
    },
  },
];
