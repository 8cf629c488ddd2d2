import assert from "node:assert/strict";
import stringWidth from "string-width";
import type { Task } from "../../../src/client/client.ts";
import { taskTable } from "../../../src/cli/commands/task-table.ts";
import { T0, TASK_ID } from "../../client/scripted-server.ts";

const NOW = T0 + 400 * 86_400_000;

function task(fields: Partial<Task>): Task {
  const times = { createdAt: new Date(T0), startedAt: null, finishedAt: null };
  return { taskId: TASK_ID, kind: "echo", status: "pending", labels: {}, ...times, ...fields } as Task;
}

const ended = task({
  kind: "a-kind-with-a-long-name",
  status: "succeeded",
  startedAt: new Date(T0),
  finishedAt: new Date(T0 + 364.99 * 86_400_000),
  labels: { team: "search", region: "eu-central-1" },
});

describe("the table of tasks", () => {
  it("fits a terminal of 80 columns, with ages instead of times", () => {
    const table = taskTable(80, NOW);
    assert.equal(table.heading, "TASK                        KIND          STATUS     AGE   ENDED     RAN\n");
    assert.equal(table.line(ended), "01930d5a-1111-7000-8000-00  a-kind-with…  succeeded  400d  35d ago   364d 23h\n");
  });

  it("has as much of the labels as fits a terminal of more columns", () => {
    const line = taskTable(100, NOW).line(ended);
    assert.match(line, /364d 23h {2}team=search region=e…\n$/);
    assert.equal(stringWidth(line.trimEnd()), 100);
  });

  it("leaves the end of a running task empty, and everything about the run of a pending task", () => {
    const table = taskTable(80, T0 + 90_000);
    assert.match(table.line(task({ status: "running", startedAt: new Date(T0 + 1_000) })), /1m {4}\s{8} {2}1m 29s\n$/);
    assert.match(table.line(task({})), /pending {4}1m\n$/);
  });

  it("shows no negative times if this machine's clock is behind the server's", () => {
    const line = taskTable(80, T0 - 5_000).line(task({ status: "running", startedAt: new Date(T0) }));
    assert.match(line, /running {4}0s {14}0ms\n$/);
  });

  it("has whole times in a wide terminal and in a pipe", () => {
    for (const columns of [undefined, 128, 200]) {
      assert.match(taskTable(columns, NOW).line(ended), /2026-01-02T03:04:05\.678Z {2}2027-01-02T02:49/);
    }
    assert.doesNotMatch(taskTable(127, NOW).line(ended), /2026/);
  });
});
