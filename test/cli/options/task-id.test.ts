import assert from "node:assert/strict";
import { CancelOutcome } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { serveScript, TASK_ID, taskMessage } from "../../client/scripted-server.ts";
import type { Script } from "../../client/scripted-server.ts";
import { runSpool } from "../spool-process.ts";

describe("a task id prefix", () => {
  const started = (taskId: string) => taskMessage({ taskId, kind: "echo" });
  const script = (...ids: string[]): Script => ({
    listTasks: ({ taskIdPrefix, pageSize }) => ({
      tasks: ids
        .filter((id) => id.startsWith(taskIdPrefix))
        .slice(0, pageSize)
        .map(started),
    }),
    getTask: ({ taskId }) => ({ task: started(taskId) }),
    cancelTask: ({ taskId }) => ({ task: started(taskId), outcome: CancelOutcome.REQUESTED }),
  });
  const OTHER = `${TASK_ID.slice(0, 26)}${"f".repeat(10)}`;

  it("resolves to the only task that matches", async () => {
    const { code, stdout } = await spool(["get", TASK_ID.slice(0, 8)], script(TASK_ID));
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^task_id +${TASK_ID}$`, "m"));
    const cancelled = await spool(["cancel", TASK_ID.slice(0, 35)], script(TASK_ID, OTHER));
    assert.match(cancelled.stdout, new RegExp(`^task ${TASK_ID} is running`));
  });

  it("is rejected if no task matches, if several do, which are listed, or if the prefix is too short", async () => {
    const several = await spool(["result", TASK_ID.slice(0, 26)], script(TASK_ID, OTHER));
    assert.equal(several.code, 2);
    assert.match(several.stderr, new RegExp(`several tasks .*\n  ${TASK_ID}  echo .*\n  ${OTHER}  echo `));
    const none = await spool(["events", "00000000"], script(TASK_ID));
    assert.deepEqual([none.code, none.stderr], [2, "spool: task id 00000000: no task has this id prefix\n"]);
    const short = await spool(["follow", TASK_ID.slice(0, 7)], script(TASK_ID));
    assert.match(short.stderr, /too short; give at least the first 8 characters/);
  });
});

async function spool(words: string[], script: Script) {
  await using server = await serveScript(script);
  return await runSpool([...words, "--address", server.address]);
}
