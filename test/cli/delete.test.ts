import assert from "node:assert/strict";
import { failure, serveScript, TASK_ID } from "../client/scripted-server.ts";
import type { Script } from "../client/scripted-server.ts";
import { runSpool } from "./spool-process.ts";

describe("spool delete", () => {
  const OTHER = TASK_ID.replace(/.$/, "0");

  for (const [alreadyDeleted, text] of [
    [false, "is removed"],
    [true, "had already been removed"],
  ] as const) {
    it(`reports that a task ${text}`, async () => {
      const script = { deleteTask: () => ({ alreadyDeleted }) };
      const { code, stdout } = await spool(["delete", TASK_ID], script);
      assert.deepEqual([code, stdout], [0, `task ${TASK_ID} ${text}\n`]);
      const json = await spool(["delete", TASK_ID, "--json"], script);
      assert.deepEqual(JSON.parse(json.stdout), { task_id: TASK_ID, already_deleted: alreadyDeleted });
    });
  }

  it("removes each task once, and the other tasks if one is refused, and exits with 1", async () => {
    const asked: string[] = [];
    const { code, stdout, stderr } = await spool(["delete", OTHER, TASK_ID, TASK_ID], {
      deleteTask({ taskId }) {
        asked.push(taskId);
        if (taskId === TASK_ID) return {};
        throw failure("FAILED_PRECONDITION", "it is running", { reason: "TASK_NOT_TERMINAL" });
      },
    });
    assert.deepEqual([code, stdout, asked], [1, `task ${TASK_ID} is removed\n`, [OTHER, TASK_ID]]);
    assert.match(stderr, /^spool: it is running \(FAILED_PRECONDITION, TASK_NOT_TERMINAL\)\n/);
  });

  it("removes nothing if an id prefix matches no task", async () => {
    let deleted = 0;
    const { code } = await spool(["delete", TASK_ID, "00000000"], {
      listTasks: () => ({}),
      deleteTask: () => ({ alreadyDeleted: deleted++ > 0 }),
    });
    assert.deepEqual([code, deleted], [2, 0]);
  });

  it("stops at the first task if the server cannot be reached", async () => {
    const { code, stderr } = await runSpool(["delete", TASK_ID, OTHER, "--address", "127.0.0.1:1"]);
    assert.equal(code, 1);
    assert.equal(stderr.match(/^spool: /gm)?.length, 1);
  });
});

async function spool(words: string[], script: Script) {
  await using server = await serveScript(script);
  return await runSpool([...words, "--address", server.address]);
}
