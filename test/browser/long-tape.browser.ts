import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { madeRows, rowsInView, tapeList } from "./support/tape-rows.ts";
import { visit } from "./support/visit.ts";
import type { Visit } from "./support/visit.ts";

const EVENTS = 100_000;
/** Rows in view, above and below; and everything else on the page. */
const NODES_MAX = 1_500;

describe("a tape of 100,000 events @slow", () => {
  let stage: Stage;
  let taskId: string;
  let last: number;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
    const { task } = await stage.client.start({ kind: "loud", params: { events: EVENTS } });
    taskId = task.taskId;
    await stage.client.waitFinal({ taskId, timeoutMs: 50_000 });
    last = EVENTS + 2;
  });

  it("can be scrolled from end to end, with the right event at each position and few rows", async () => {
    await using visited = await open(stage, taskId);
    const { page } = visited;
    const list = tapeList(page);
    for (let share = 0; share <= 20; share++) {
      await list.evaluate((element, of) => {
        element.scrollTop = (element.scrollHeight - element.clientHeight) * of;
      }, share / 20);
      await eventually(() => assertInOrder(page));
      assert.ok((await nodesOf(page)) < NODES_MAX);
    }
    assert.equal((await rowsInView(page)).at(-1)!.seq, last);
    assert.equal((await rowsInView(page)).at(-1)!.label, "final");
  }).timeout(40_000);

  it("can be scrolled by the wheel without a gap in view", async () => {
    await using visited = await open(stage, taskId);
    const { page } = visited;
    await tapeList(page).hover();
    let before = 0;
    for (let turn = 0; turn < 15; turn++) {
      await page.mouse.wheel(0, 2_000);
      const at = before;
      await eventually(async () => {
        await assertInOrder(page);
        before = (await rowsInView(page))[0]!.seq;
        assert.ok(before > at);
      });
    }
    assert.ok((await nodesOf(page)) < NODES_MAX);
  }).timeout(40_000);

  it("is summarized and searched to its end", async () => {
    await using visited = await open(stage, taskId);
    const { page } = visited;
    await page.getByText("99,991 / 100,000").waitFor();
    await page.getByLabel("Contains text").fill("line 99999");
    await page.getByText("1 found in 100,002 events").waitFor();
    await page.getByLabel("Contains text").fill("");
    await page.getByLabel("Show").selectOption("Logs: errors");
    await page.getByText(/^5,000 found in the first 50,\d\d\d of 100,002 events/).waitFor();
    await page.getByRole("button", { name: "The next 5,000" }).click();
    await page.getByText("5,000 found in 100,002 events").waitFor();
    assert.ok((await nodesOf(page)) < NODES_MAX);
  }).timeout(40_000);
});

async function open(stage: Stage, taskId: string): Promise<Visit> {
  const visited = await visit(`${stage.server.url}/#/tasks/${taskId}`);
  await visited.page.getByTestId("tape-count").getByText("100,002 events").waitFor();
  return visited;
}

/** All rows in view are there, one after the other, and each says what its event is. */
async function assertInOrder(page: Page): Promise<void> {
  const rows = await rowsInView(page);
  assert.ok(rows.length > 5 && (await madeRows(page)).length < 80);
  for (const [index, { seq, label, text }] of rows.entries()) {
    assert.equal(seq, rows[0]!.seq + index);
    assert.notEqual(label, "", `event ${seq} is there`);
    if (["info", "warn", "error", "debug"].includes(label)) assert.ok(text.endsWith(` ${seq - 1}`), text);
  }
}

function nodesOf(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelectorAll("*").length);
}
