import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { sharedStage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const RUNNING = 200;
/** Of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
const MEASURED_MS = 3_000;

describe("the console with 200 running tasks", () => {
  it("shows their progress with one stream", async () => {
    const stage = await sharedStage();
    const request = { kind: "steady", params: { delay_ms: 200 }, labels: { test: "many" } };
    const started = await Promise.all(Array.from({ length: RUNNING }, () => stage.client.start(request)));
    await using visited = await visit(`${stage.server.url}/#/tasks?status=running&label=test%3Dmany`);
    const { page } = visited;
    const figures = page.locator(".progress-figures");
    await eventually(async () => assert.equal(await figures.count(), 50));
    const before = await figures.allInnerTexts();
    const cpuMs = await cpuOf(stage.server.child.pid!, () => setTimeout(MEASURED_MS));
    const after = await figures.allInnerTexts();
    assert.ok(
      after.every((text, index) => text !== before[index]),
      "each has moved",
    );
    assert.deepEqual(
      visited.streams().map((url) => url.split("/").at(-1)),
      ["FollowTasks"],
    );
    assert.equal(await visited.streamsMax(), 1);
    await visited[Symbol.asyncDispose]();
    const aloneMs = await cpuOf(stage.server.child.pid!, () => setTimeout(MEASURED_MS));
    const share = (ms: number) => `${Math.round((ms / MEASURED_MS) * 100)} %`;
    console.log(
      `      server, ${RUNNING} tasks: ${share(cpuMs)} of a core with the page open, ${share(aloneMs)} without`,
    );
    await Promise.all(started.map(({ task: { taskId } }) => stage.client.cancel({ taskId })));
  }).timeout(60_000);
});

/** What a process used of the processor meanwhile, in ms. */
async function cpuOf(pid: number, meanwhile: () => Promise<void>): Promise<number> {
  const used = () => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
  };
  const before = used();
  await meanwhile();
  return used() - before;
}
