import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { rowsInView, tapeList } from "./support/tape-rows.ts";
import { visit } from "./support/visit.ts";

describe("the page of a task", () => {
  let stage: Stage;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
  });

  it("shows the tape live, follows its end until the user scrolls up, and then shows the result", async () => {
    const { task } = await stage.client.start({ kind: "loud", params: { events: 150, delay_ms: 15 } });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await page.getByRole("heading", { level: 1, name: "loud" }).waitFor();
    assert.equal(await isFollowing(page), "true");
    await eventually(async () => assert.ok((await rowsInView(page)).at(-1)!.seq > 60));
    await tapeList(page).hover();
    await page.mouse.wheel(0, -1_000_000);
    await eventually(async () => assert.equal(await isFollowing(page), "false"));
    await tapeList(page).getByRole("option").filter({ hasText: "attempt 1" }).waitFor();
    await page.getByRole("heading", { name: "Result" }).waitFor();
    await page.getByRole("status").getByText("succeeded").waitFor();
    await eventually(() => assert.deepEqual(visited.streams(), []), { describe: "the stream ends with the task" });
    await page.getByRole("button", { name: "Follow the end" }).click();
    const last = tapeList(page).getByRole("option").last();
    await eventually(async () => assert.match(await last.innerText(), /^152\s.*final\s+succeeded/s));
    assert.equal(await visited.streamsMax(), 1);
  });

  it("shows an event in full, opens and closes a nested payload, and has a link to the event", async () => {
    const { task } = await stage.client.start({ kind: "loud", params: { events: 40 } });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await tapeList(page).getByRole("option").filter({ hasText: "item" }).first().click();
    const detail = page.getByRole("region", { name: "Event 3 partial" });
    await detail.getByText("deep 2").waitFor();
    await detail.getByText("nested:").click();
    await eventually(async () => assert.equal(await detail.getByText("deep 2").count(), 0));
    await detail.getByRole("link", { name: "Link to this event" }).click();
    await page.waitForURL(/\?seq=3$/);
    await detail.getByRole("button", { name: "Close" }).click();
    await eventually(async () => assert.equal(await detail.count(), 0));
  });

  it("opens at the event of its URL", async () => {
    const { task } = await stage.client.start({ kind: "loud", params: { events: 3_000 } });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId, 2_004));
    const { page } = visited;
    await page.getByRole("region", { name: "Event 2,004 log" }).getByText("warning 2003").waitFor();
    const row = tapeList(page).getByRole("option", { selected: true });
    assert.match(await row.innerText(), /^2,004\s/);
    const [list, chosen] = [await tapeList(page).boundingBox(), await row.boundingBox()];
    const middle = list!.y + list!.height / 2;
    assert.ok(Math.abs(chosen!.y + chosen!.height / 2 - middle) < 30, "it is in the middle of the list");
    await page.getByLabel("Go to event").fill("17");
    await page.getByRole("button", { name: "Go", exact: true }).click();
    await page.getByRole("region", { name: "Event 17 log" }).waitFor();
  });

  it("filters events by level, by sort and by text", async () => {
    const { task } = await stage.client.start({ kind: "loud", params: { events: 2_500 } });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await page.getByLabel("Show").selectOption("Logs: errors");
    await page.getByText("250 found in 2,502 events").waitFor();
    const lines = tapeList(page).getByRole("option");
    await eventually(async () => assert.match(await lines.first().innerText(), /\serror\s+error 4$/));
    assert.ok((await lines.allInnerTexts()).every((text) => /\serror\s+error \d*4$/.test(text)));
    await page.getByLabel("Contains text").fill("ERROR 24");
    await page.getByText("12 found in 2,502 events").waitFor();
    await tapeList(page).getByRole("option").last().click();
    await page.getByRole("region", { name: "Event 2,495 log" }).getByText("error 2494").waitFor();
    await page.getByLabel("Contains text").fill("");
    await page.getByLabel("Show").selectOption("Logs from warn");
    await page.getByText("500 found in 2,502 events").waitFor();
    await page.getByLabel("Show").selectOption("Attempts, cancel, final");
    await page.getByText("2 found in 2,502 events").waitFor();
    await page.getByLabel("Show").selectOption("All events");
    await tapeList(page).getByRole("option").filter({ hasText: "attempt 1" }).waitFor();
  });

  it("shows new events that match the filter", async () => {
    const { task } = await stage.client.start({ kind: "loud", params: { events: 1_000_000, delay_ms: 5 } });
    await using visited = await visit(urlOf(stage, task.taskId));
    await visited.page.getByLabel("Show").selectOption("Logs: errors");
    await tapeList(visited.page).getByRole("option").filter({ hasText: "error 104" }).waitFor();
    await stage.client.cancel({ taskId: task.taskId });
  });

  it("cancels the task with a reason, which is then on the tape", async () => {
    const { task } = await stage.client.start({ kind: "steady" });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Cancel this task?" });
    await dialog.getByRole("button", { name: "Keep it running" }).click();
    await eventually(async () => assert.equal(await dialog.count(), 0));
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await dialog.getByRole("textbox").fill("it is late");
    await dialog.getByRole("button", { name: "Cancel the task" }).click();
    await page.getByText("The cancel is recorded on the tape").waitFor();
    await page.getByRole("heading", { name: "Error" }).waitFor();
    await tapeList(page)
      .getByRole("option", { name: /cancel it is late/ })
      .waitFor();
    assert.equal(await page.getByRole("button", { name: "Cancel", exact: true }).count(), 0);
  });

  it("deletes an ended task, and returns to the list, which does not show it", async () => {
    const { task: kept } = await stage.client.start({ kind: "loud", params: { events: 3 } });
    const { task } = await stage.client.start({ kind: "loud", params: { events: 3 } });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Delete this task?" });
    await dialog.getByRole("button", { name: "Keep it" }).click();
    await eventually(async () => assert.equal(await dialog.count(), 0));
    assert.equal((await stage.client.get({ taskId: task.taskId })).status, "succeeded");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await dialog.getByRole("button", { name: "Delete the task" }).click();
    await page.waitForURL(/#\/tasks$/);
    await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
    await page.locator(`a[href*="${kept.taskId}"]`).first().waitFor();
    assert.equal(await page.locator(`a[href*="${task.taskId}"]`).count(), 0);
    await assert.rejects(stage.client.get({ taskId: task.taskId }), { reason: "TASK_EXPIRED" });
  });

  it("starts the same task again", async () => {
    const labels = { test: "again" };
    const { task } = await stage.client.start({ kind: "loud", params: { events: 3 }, labels, timeoutMs: 60_000 });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    await page.getByRole("link", { name: "Start again" }).click();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "loud" }).waitFor();
    const taskId = /#\/tasks\/([0-9a-f-]{36})$/.exec(page.url())![1]!;
    assert.notEqual(taskId, task.taskId);
    const again = await stage.client.get({ taskId });
    assert.deepEqual(
      [again.params, again.labels, again.timeoutMs, again.maxAttempts],
      [{ events: 3 }, labels, 60_000, task.maxAttempts],
    );
  });

  it("shows each attempt with its time, the error of the first, and the phases of the last", async () => {
    const { task } = await stage.client.start({ kind: "flaky" });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId));
    const { page } = visited;
    const spans = page.getByRole("list", { name: "Attempts and phases" }).getByRole("listitem");
    await eventually(async () => assert.equal(await spans.count(), 4));
    assert.match(await spans.nth(0).innerText(), /^attempt 1[^]*NOT_YET/);
    assert.match(await spans.nth(2).innerText(), /^attempt 2/);
    const phases = page.getByRole("list", { name: "Phases", exact: true }).getByRole("listitem");
    assert.deepEqual(
      (await phases.allInnerTexts()).map((text) => text.replaceAll(/\s+/g, " ")),
      ["try 2 / 2"],
    );
    await page.getByText("2 of 2").waitFor();
  });

  it("shows a text of thousands of deltas in one block, and each delta in the list", async () => {
    const { task } = await stage.client.start({ kind: "tokens", params: { count: 5_000 } });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
    await using visited = await visit(urlOf(stage, task.taskId, 12));
    const { page } = visited;
    const series = page.getByRole("region", { name: "Series" });
    await series.getByRole("heading", { name: "delta answer 5,000 events" }).waitFor();
    const expected = Array.from({ length: 5_000 }, (_, index) => `t${index + 1} `).join("");
    await eventually(async () => assert.equal(await series.locator("pre").textContent(), expected));
    await series.getByRole("heading", { name: "state state 500 events" }).waitFor();
    await page.getByRole("region", { name: "Event 12 partial" }).getByText("series state").waitFor();
  });

  it("reports that a task does not exist", async () => {
    await using visited = await visit(urlOf(stage, "00000000-0000-7000-8000-000000000000"));
    visited.expect(/404/);
    await visited.page.getByRole("alert").getByText("TASK_NOT_FOUND").waitFor();
  });
});

function urlOf(stage: Stage, taskId: string, seq?: number): string {
  return `${stage.server.url}/#/tasks/${taskId}${seq === undefined ? "" : `?seq=${seq}`}`;
}

function isFollowing(page: Page): Promise<string | null> {
  return page.getByRole("button", { name: "Follow the end" }).getAttribute("aria-pressed");
}
