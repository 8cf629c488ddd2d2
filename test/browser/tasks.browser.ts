import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

describe("the list of tasks", () => {
  let stage: Stage;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
  });

  it("shows the start, the progress and the end of a task live", async () => {
    await using visited = await visit(`${stage.server.url}/#/tasks?label=test%3Dlive`);
    const { page } = visited;
    await page.getByText("No matching tasks.").waitFor();
    const { task } = await stage.client.start({ kind: "steady", labels: { test: "live" } });
    const row = rowsOf(page).first();
    await row.getByText("running").waitFor();
    await row.getByRole("progressbar", { name: "beat" }).waitFor();
    const first = await figuresOf(row);
    await eventually(async () => assert.notEqual(await figuresOf(row), first));
    await stage.client.cancel({ taskId: task.taskId });
    await row.getByText("cancelled").waitFor();
    assert.equal(await row.getByRole("progressbar").count(), 0);
  });

  it("is filtered by status, kind and label, which are in the URL", async () => {
    const labels = { test: "filter" };
    await ended(stage, { kind: "echo", labels });
    await ended(stage, { kind: "flaky", labels });
    await using visited = await visit(`${stage.server.url}/`);
    const { page } = visited;
    await page.getByLabel("Label", { exact: true }).fill("test=filter");
    await page.getByLabel("Label", { exact: true }).press("Enter");
    await expectKinds(page, ["flaky", "echo"]);
    await page.getByLabel("Kind", { exact: true }).fill("echo");
    await page.getByRole("button", { name: "Add kind" }).click();
    await expectKinds(page, ["echo"]);
    assert.match(page.url(), /#\/tasks\?kind=echo&label=test%3Dfilter$/);
    await page.getByLabel("failed").check({ force: true });
    await page.getByText("No matching tasks.").waitFor();
    await page.reload();
    await page.getByText("No matching tasks.").waitFor();
    assert.equal(await page.getByLabel("failed").isChecked(), true);
    await page.getByLabel("failed").uncheck({ force: true });
    await page.getByRole("button", { name: "Remove kind echo" }).click();
    await expectKinds(page, ["flaky", "echo"]);
    await page.goBack();
    await expectKinds(page, ["echo"]);
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await page.waitForURL(/#\/tasks$/);
  });

  it("refuses an invalid label and explains the format", async () => {
    await using visited = await visit(`${stage.server.url}/`);
    const { page } = visited;
    await page.getByLabel("Label", { exact: true }).fill("team");
    await page.getByRole("button", { name: "Add label" }).click();
    await page.getByText("must be key=value").waitFor();
    assert.equal(await page.getByLabel("Label", { exact: true }).getAttribute("aria-invalid"), "true");
  });

  it("opens a task by a prefix of its id and lists all tasks if several match", async () => {
    const labels = { test: "prefix" };
    const [first] = await Promise.all(
      [1, 2].map(() => stage.client.start({ kind: "echo", params: { count: 0 }, labels })),
    );
    const { taskId } = first!.task;
    await using visited = await visit(`${stage.server.url}/`);
    const { page } = visited;
    const field = page.getByLabel("Task id", { exact: true });
    await field.fill(taskId.slice(0, 7));
    await field.press("Enter");
    await page.getByText("must be at least the first 8 characters of a task id").waitFor();
    await field.fill(taskId.slice(0, 8).toUpperCase());
    await page.getByRole("button", { name: "Open the task" }).click();
    await page.getByText(/tasks have ids that begin with/).waitFor();
    await eventually(async () => assert.ok((await idsOf(page)).includes(taskId)));
    await page.goto(`${stage.server.url}/#/tasks/${taskId.slice(0, 35)}`);
    await page.waitForURL((url) => url.hash === `#/tasks/${taskId}`);
    await page.getByRole("heading", { name: "echo" }).waitFor();
    await page.goto(`${stage.server.url}/#/tasks/ffffffff`);
    await page.getByText("No task has an id that begins with ffffffff.").waitFor();
  });

  it("links a label of a task to the tasks with that label", async () => {
    await ended(stage, { kind: "echo", labels: { test: "chip" } });
    await using visited = await visit(`${stage.server.url}/`);
    await visited.page.getByRole("link", { name: "test=chip" }).first().click();
    await visited.page.waitForURL(/label=test%3Dchip/);
    await expectKinds(visited.page, ["echo"]);
  });

  it("has pages from the newest to the oldest task, each task on one page", async () => {
    const labels = { test: "pages" };
    const count = 120;
    const started = await Promise.all(
      Array.from({ length: count }, () => stage.client.start({ kind: "echo", params: { count: 0 }, labels })),
    );
    await Promise.all(started.map(({ task }) => stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })));
    await using visited = await visit(`${stage.server.url}/#/tasks?label=test%3Dpages`);
    const { page } = visited;
    const seen: string[] = [];
    for (const size of [50, 50, 20]) {
      await eventually(async () => assert.equal(await rowsOf(page).count(), size));
      seen.push(...(await idsOf(page)));
      if (size === 50) {
        const url = page.url();
        await page.getByRole("button", { name: "Older" }).click();
        await page.waitForURL((now) => now.href !== url);
        await eventually(async () => assert.notEqual((await idsOf(page))[0], seen.at(-50)));
      }
    }
    assert.equal(await page.getByRole("button", { name: "Older" }).count(), 0);
    assert.equal(new Set(seen).size, count);
    assert.deepEqual(seen, seen.toSorted().toReversed());
    await page.getByRole("link", { name: "Newest" }).click();
    await eventually(async () => assert.deepEqual(await idsOf(page), seen.slice(0, 50)));
    assert.equal(await visited.streamsMax(), 1);
    await eventually(() => assert.equal(visited.streams().length, 1));
  });

  it("keeps its newest page full if more tasks start than fit, and Older continues at its end", async () => {
    const labels = { test: "overflow" };
    await using visited = await visit(`${stage.server.url}/#/tasks?label=test%3Doverflow`);
    const { page } = visited;
    await page.getByText("No matching tasks.").waitFor();
    const started = await Promise.all(
      Array.from({ length: 60 }, () => stage.client.start({ kind: "echo", params: { count: 0 }, labels })),
    );
    const ids = started.map(({ task }) => task.taskId).toSorted();
    await eventually(async () => assert.deepEqual(await idsOf(page), ids.slice(10).toReversed()));
    await page.getByRole("button", { name: "Older" }).click();
    await eventually(async () => assert.deepEqual(await idsOf(page), ids.slice(0, 10).toReversed()));
  });

  it("fills up again when tasks no longer match its filter", async () => {
    const labels = { test: "refill" };
    const tasks = await Promise.all(
      Array.from({ length: 80 }, () => stage.client.start({ kind: "steady", params: { delay_ms: 10_000 }, labels })),
    );
    const ids = tasks.map(({ task }) => task.taskId).toSorted();
    await using visited = await visit(`${stage.server.url}/#/tasks?label=test%3Drefill&status=running`);
    const { page } = visited;
    await eventually(async () => assert.deepEqual(await idsOf(page), ids.slice(30).toReversed()));
    await Promise.all(ids.slice(40).map((taskId) => stage.client.cancel({ taskId })));
    await eventually(async () => assert.deepEqual(await idsOf(page), ids.slice(0, 40).toReversed()));
    await Promise.all(ids.slice(0, 40).map((taskId) => stage.client.cancel({ taskId })));
    await page.getByText("No matching tasks.").waitFor();
  });
});

function rowsOf(page: Page): Locator {
  return page.getByRole("table", { name: "Tasks" }).locator("tbody").getByRole("row");
}

async function figuresOf(row: Locator): Promise<string> {
  return row.locator(".progress-figures").innerText();
}

async function expectKinds(page: Page, kinds: readonly string[]): Promise<void> {
  await eventually(async () => {
    assert.deepEqual(await rowsOf(page).locator(".task-name a").allInnerTexts(), kinds);
  });
}

/** The tasks that are shown, in their order. */
async function idsOf(page: Page): Promise<string[]> {
  const links = await rowsOf(page)
    .locator(".task-name a")
    .evaluateAll((all) => all.map((link) => link.getAttribute("href")!));
  return links.map((href) => href.replace("#/tasks/", ""));
}

async function ended(stage: Stage, request: Parameters<Stage["client"]["start"]>[0]): Promise<void> {
  const { task } = await stage.client.start(request);
  await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
}
