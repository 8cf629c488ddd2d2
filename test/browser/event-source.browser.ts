import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { sharedStage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const EVENTS = 5_000;
const CUTS = 10;
/** So that the task still runs at the last cut: a browser waits 3 s before it comes back. */
const PACE = { burst: 25, delay_ms: 170 };

declare global {
  interface Window {
    seqs: number[];
    opened: number;
    isOver: boolean;
  }
}

describe("an EventSource of a browser", () => {
  it("receives each event once and in order over ten lost connections, and ends", async () => {
    const { server, client } = await sharedStage();
    await using proxy = await startTcpProxy(() => new URL(server.url).host);
    const { task } = await client.start({ kind: "loud", params: { events: EVENTS, ...PACE } });
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
    let before = 0;
    for (let cut = 0; cut < CUTS; cut++) {
      const isUnderWay = async () => {
        const { seen, opened } = await page.evaluate(() => ({ seen: window.seqs.length, opened: window.opened }));
        assert.ok(opened === cut + 1 && seen > before + 10);
        before = seen;
      };
      await eventually(isUnderWay);
      assert.ok(proxy.cut() > 0);
    }
    await page.waitForFunction(() => window.isOver, undefined, { timeout: 60_000 });
    const { seqs, opened } = await page.evaluate(() => ({ seqs: window.seqs, opened: window.opened }));
    assert.deepEqual(
      seqs.filter((seq, index) => seq !== index + 1),
      [],
    );
    assert.equal(seqs.length, EVENTS + 2);
    assert.equal(opened, CUTS + 1);
  }).timeout(120_000);
});
