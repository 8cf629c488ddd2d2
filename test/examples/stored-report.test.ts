import assert from "node:assert/strict";
import { access, readFile } from "node:fs/promises";
import { storedReport } from "../../examples/stored-report.ts";
import { start } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { openPostgres } from "../support/stores.ts";

describe("the example stored-report", () => {
  it("writes a file for its task, and deletes the file after the task was removed", async () => {
    await using store = await openPostgres();
    await using engine = await startEngine(store, { kinds: [storedReport] });
    const taskId = await start(engine, { kind: "stored-report", params: { lines: ["a", "b"] } });
    const { result } = await engine.waitForResult({ taskId, waitMs: 10_000 }, new AbortController().signal);
    const file = result!["file"] as string;
    assert.equal(await readFile(file, "utf8"), "a\nb");
    await engine.deleteTask(taskId, null);
    await eventually(() => assert.rejects(access(file), { code: "ENOENT" }));
  });
});
