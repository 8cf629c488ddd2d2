import assert from "node:assert/strict";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";
import type { Visit } from "./support/visit.ts";

describe("the form that starts a task", () => {
  let stage: Stage;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
  });

  it("starts the task and opens its page", async () => {
    await using visited = await open(stage);
    const { page } = visited;
    await page.getByLabel("Kind").fill("loud");
    await page.getByLabel("Params, a JSON object").fill('{"events": 2}');
    await page.getByRole("button", { name: "Add a label" }).click();
    await page.getByRole("button", { name: "Add a label" }).click();
    await page.getByLabel("Key of label 1").fill("gone");
    await page.getByRole("button", { name: "Remove label 1" }).click();
    await page.getByLabel("Key of label 1").fill("test");
    await page.getByLabel("Value of label 1").fill("start form");
    await page.getByLabel("Request id").fill("of the form");
    await page.getByLabel("Timeout of an attempt").fill("1.5");
    await page.getByLabel("Unit of the timeout").selectOption("min");
    await page.getByLabel("Attempts").fill("3");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "loud" }).waitFor();
    const task = await stage.client.get({ taskId: /[0-9a-f-]{36}$/.exec(page.url())![0] });
    assert.deepEqual(
      [task.params, task.labels, task.requestId, task.timeoutMs, task.maxAttempts],
      [{ events: 2 }, { test: "start form" }, "of the form", 90_000, 3],
    );
  });

  it("offers the kinds that servers and workers run", async () => {
    await using visited = await open(stage);
    const options = visited.page.locator("#known-kinds option");
    await options.nth(4).waitFor({ state: "attached" });
    const kinds = await options.evaluateAll((all) => all.map((option) => (option as HTMLOptionElement).value));
    assert.deepEqual(kinds, ["echo", "flaky", "hostile", "loud", "steady", "tokens"]);
  });

  it("reports params that are not JSON and cannot be sent until they are", async () => {
    await using visited = await open(stage);
    const { page } = visited;
    const params = page.getByLabel("Params, a JSON object");
    await params.fill('{"events": }');
    await page
      .getByRole("alert")
      .getByText(/must be JSON: Unexpected token/)
      .waitFor();
    assert.equal(await params.getAttribute("aria-invalid"), "true");
    assert.equal(await page.getByRole("button", { name: "Start", exact: true }).isDisabled(), true);
    await params.fill("[1]");
    await page.getByRole("alert").getByText("must be a JSON object, in braces").waitFor();
    await params.fill('{"events": 1}');
    assert.equal(await page.getByRole("button", { name: "Start", exact: true }).isEnabled(), true);
  });

  it("shows a violation that the server reports beside its field", async () => {
    await using visited = await open(stage);
    const { page } = visited;
    visited.expect(/400/);
    await page.getByLabel("Kind").fill("loud");
    await page.getByLabel("Params, a JSON object").fill('{"events": -1, "extra": true}');
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByText("The task was not started").waitFor();
    const described = await describedBy(visited, "Params, a JSON object");
    assert.match(described, /params\.events: /);
    assert.match(described, /params\.extra: /);
    await page.getByLabel("Params, a JSON object").fill("{}");
    await page.getByLabel("Timeout of an attempt").fill("1000");
    await page.getByLabel("Unit of the timeout").selectOption("h");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page
      .getByRole("alert")
      .getByText(/must be .*30 days|must be 1 ms/)
      .first()
      .waitFor();
    assert.notEqual((await describedBy(visited, "Timeout of an attempt")).trim(), "Empty: no limit.");
  });

  it("shows its own violations beside their fields", async () => {
    await using visited = await open(stage);
    const { page } = visited;
    await page.getByLabel("Kind").fill("loud");
    await page.getByLabel("Attempts").fill("many");
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await page.getByRole("alert").getByText("must be a number").waitFor();
    assert.match(page.url(), /#\/start$/);
  });
});

async function open(stage: Stage): Promise<Visit> {
  const visited = await visit(`${stage.server.url}/#/tasks`);
  await visited.page.getByRole("link", { name: "Start", exact: true }).click();
  await visited.page.getByRole("heading", { name: "Start a task" }).waitFor();
  return visited;
}

/** What is said of a field besides its label. */
async function describedBy({ page }: Visit, label: string): Promise<string> {
  const ids = (await page.getByLabel(label).getAttribute("aria-describedby"))!.split(" ");
  return (await Promise.all(ids.map((id) => page.locator(`[id="${id}"]`).innerText()))).join(" ");
}
