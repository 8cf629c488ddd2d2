import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { openStage, sharedStage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const EVENTS = 5_000;
const CUTS = 10;
const RUNNING = 200;
/** Of /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
const MEASURED_MS = 5_000;

declare global {
  interface Window {
    seqs: number[];
    opened: number;
    isOver: boolean;
  }
}

describe("an EventSource of a browser", () => {
  it("that is cut off ten times has each event once, in order, and ends", async () => {
    const { server, client } = await sharedStage();
    await using proxy = await startTcpProxy(() => new URL(server.url).host);
    const { task } = await client.start({ kind: "loud", params: { events: EVENTS, delay_ms: 1 } });
    await using visited = await visit(`http://${proxy.address}/#/start`);
    visited.expect(/net::ERR_/);
    const { page } = visited;
    await page.evaluate((taskId) => {
      window.seqs = [];
      window.opened = 0;
      window.isOver = false;
      const source = new EventSource(`/v1/tasks/${taskId}/events`);
      source.addEventListener("open", () => window.opened++);
      for (const type of ["started", "progress", "log", "partial", "final"]) {
        source.addEventListener(type, (event) => {
          window.seqs.push(Number((event as MessageEvent).lastEventId));
          if (type !== "final") return;
          source.close();
          window.isOver = true;
        });
      }
    }, task.taskId);
    const seen = () => page.evaluate(() => window.seqs.length);
    for (let cut = 1; cut <= CUTS; cut++) {
      const before = await seen();
      await eventually(async () => assert.ok((await seen()) > before + 10), { timeoutMs: 15_000 });
      assert.ok(proxy.cut() > 0);
    }
    await page.waitForFunction(() => window.isOver, undefined, { timeout: 60_000 });
    const { seqs, opened } = await page.evaluate(() => ({ seqs: window.seqs, opened: window.opened }));
    assert.deepEqual(
      seqs.filter((seq, index) => seq !== index + 1),
      [],
    );
    assert.equal(seqs.length, EVENTS + 2);
    assert.ok(opened > CUTS, `opened ${opened} times`);
  }).timeout(120_000);
});

describe("a console before 200 running tasks", () => {
  it("shows their progress by one stream", async () => {
    await using stage = await openStage();
    await Promise.all(
      Array.from({ length: RUNNING }, () => stage.client.start({ kind: "steady", params: { delay_ms: 200 } })),
    );
    await using visited = await visit(`${stage.server.url}/#/tasks?status=running`);
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
