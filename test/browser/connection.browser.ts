import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { openStage, sharedStage } from "./support/stage.ts";
import { rowsInView, tapeCount, tapeList } from "./support/tape-rows.ts";
import { visit } from "./support/visit.ts";

declare global {
  interface Window {
    /** What the page has said of its connection, in order. */
    connections: string[];
  }
}

/** What Chromium says of itself of a server that it does not reach. */
const UNREACHABLE = /net::ERR_/;
const STAGE_MS = 60_000;
const ROW_PX = 28;

describe("the console on a lost connection", () => {
  it("shows the loss and continues tape and list after a restart, without lost or duplicate events", async () => {
    await using stage = await openStage();
    const params = { events: 1_000_000, delay_ms: 5 };
    const { task } = await stage.client.start({ kind: "loud", params, maxAttempts: 3 });
    await using tape = await visit(`${stage.server.url}/#/tasks/${task.taskId}`);
    await using list = await visit(`${stage.server.url}/#/tasks`);
    tape.expect(UNREACHABLE);
    list.expect(UNREACHABLE);
    await untilShown(tape.page, 60);
    await list.page.getByRole("progressbar", { name: "count" }).waitFor();
    await stage.restart(async () => {
      await connectionOf(tape.page).getByText("Connection lost. Reconnecting").waitFor();
      await connectionOf(list.page).getByText("Connection lost. Reconnecting").waitFor();
    });
    await connectionOf(tape.page).getByText("Live").waitFor();
    await tape.page.getByText("attempt 2", { exact: true }).first().waitFor();
    await list.page.getByText("attempt 2").waitFor();
    await stage.client.cancel({ taskId: task.taskId });
    await tape.page.getByRole("heading", { name: "Error" }).waitFor();
    await list.page.getByText("cancelled").last().waitFor();
    const events = await Array.fromAsync(stage.client.follow({ taskId: task.taskId }));
    await assertWholeTape(tape.page, events.length);
    assert.equal(await tapeCount(tape.page), events.length);
  }).timeout(STAGE_MS);

  it("reconnects repeatedly if connections are cut in the middle of frames", async () => {
    const { server, client } = await sharedStage();
    await using proxy = await startTcpProxy(() => new URL(server.url).host);
    // It runs until it is cancelled, so that its stream is there to be cut however late the page comes.
    const { task } = await client.start({ kind: "loud", params: { events: 1_000_000, delay_ms: 5 } });
    await using visited = await visit(`http://${proxy.address}/#/tasks/${task.taskId}`);
    visited.expect(UNREACHABLE);
    const { page } = visited;
    for (let cuts = 0; cuts < 5; cuts++) {
      await untilShown(page, (await tapeCount(page)) + 50);
      assert.ok(proxy.cut() > 0);
    }
    await untilShown(page, (await tapeCount(page)) + 50);
    await client.cancel({ taskId: task.taskId });
    await page.getByRole("heading", { name: "Error" }).waitFor();
    const events = await Array.fromAsync(client.follow({ taskId: task.taskId }));
    await assertWholeTape(page, events.length);
    // The list of phases counts each event once: the last one of the phase is what the tape has.
    const progress = events.findLast((event) => event.type === "progress")!;
    const phases = page.getByRole("list", { name: "Phases", exact: true });
    assert.equal(await phases.getByRole("progressbar").getAttribute("value"), `${progress.current}`);
  }).timeout(STAGE_MS);

  it("detects a silent server on an open connection", async () => {
    const { server, client } = await sharedStage();
    await using proxy = await startTcpProxy(() => new URL(server.url).host);
    const { task } = await client.start({ kind: "steady" });
    await using visited = await visit(`http://${proxy.address}/#/tasks/${task.taskId}`);
    visited.expect(UNREACHABLE);
    const { page } = visited;
    // The page's own clock is put forward: nobody waits for the silence to last.
    await page.clock.install();
    await page.reload();
    // "Live" is said of any answer; a tape that grows has its stream, on a connection that is there to be silenced.
    await untilShown(page, 1);
    await connectionOf(page).evaluate((status) => {
      window.connections = [];
      new MutationObserver(() => window.connections.push(status.textContent)).observe(status, {
        characterData: true,
        childList: true,
        subtree: true,
      });
    });
    const told = () => page.evaluate(() => window.connections);
    for (let second = 1; second <= 20; second++) {
      const shown = await tapeCount(page);
      await page.clock.runFor(1_000);
      await untilShown(page, shown + 1);
    }
    assert.deepEqual(await told(), [], "a server that says something each second is not silent");
    proxy.silence();
    await eventually(async () => {
      await page.clock.runFor(1_000);
      assert.equal((await told())[0], "Connection lost. Reconnecting…");
    });
    // The browser may send the new request over the silent connection: the page has to notice that, too.
    await eventually(async () => {
      await page.clock.runFor(1_000);
      assert.equal((await told()).at(-1), "Live");
    });
    await client.cancel({ taskId: task.taskId });
  }).timeout(STAGE_MS);

  it("detects a silent server also on pages that poll, and polls over another connection", async () => {
    const { server } = await sharedStage();
    await using proxy = await startTcpProxy(() => new URL(server.url).host);
    await using visited = await visit(`http://${proxy.address}/#/overview`);
    visited.expect(UNREACHABLE);
    const { page } = visited;
    await page.clock.install();
    await page.reload();
    await connectionOf(page).getByText("Live").waitFor();
    proxy.silence();
    const untilSaid = (text: string) =>
      eventually(async () => {
        await page.clock.runFor(1_000);
        assert.equal(await connectionOf(page).innerText(), text);
      });
    await untilSaid("Connection lost. Reconnecting…");
    await untilSaid("Live");
  }).timeout(STAGE_MS);

  it("closes its stream while hidden and has missed nothing when shown again", async () => {
    const { server, client } = await sharedStage();
    const { task } = await client.start({ kind: "loud", params: { events: 400, delay_ms: 5 } });
    await using visited = await visit(`${server.url}/#/tasks/${task.taskId}`);
    const { page } = visited;
    await untilShown(page, 20);
    await setHidden(page, true);
    await eventually(() => assert.deepEqual(visited.streams(), []));
    await client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await setHidden(page, false);
    await page.getByRole("heading", { name: "Result" }).waitFor();
    await assertWholeTape(page, 402);
  }).timeout(STAGE_MS);
});

function connectionOf(page: Page) {
  return page.getByRole("status", { name: "Connection" });
}

async function untilShown(page: Page, seq: number): Promise<void> {
  await eventually(async () => assert.ok((await tapeCount(page)) >= seq), { describe: `event ${seq} is shown` });
}

/** Scrolls over the whole tape and reads every seq on the way: 1, 2, 3, … to the last. */
async function assertWholeTape(page: Page, count: number): Promise<void> {
  const follow = page.getByRole("button", { name: "Follow the end" });
  if ((await follow.getAttribute("aria-pressed")) === "true") await follow.click();
  const seen: string[] = [];
  for (let top = 0; top < count * ROW_PX; top += 400) {
    await tapeList(page).evaluate((element, px) => (element.scrollTop = px), top);
    await eventually(async () => {
      const rows = await rowsInView(page);
      assert.ok(rows.length > 0 && rows.every(({ label }) => label !== ""), "the rows in view are there");
      for (const { seq, label } of rows) seen[seq] = label;
    });
  }
  assert.deepEqual(
    Object.keys(seen),
    Array.from({ length: count }, (_, index) => String(index + 1)),
  );
  assert.equal(seen[count], "final");
}

/** As when another tab is put before it. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}
