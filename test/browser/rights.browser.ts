import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { start } from "../support/engine-tasks.ts";
import { eventually } from "../support/eventually.ts";
import { admitting, openRightsServer } from "./support/rights-server.ts";
import type { RightsServer } from "./support/rights-server.ts";
import { signIn } from "./support/sign-in.ts";
import { visit } from "./support/visit.ts";

const SERVER_MS = 60_000;
const IN_FIRST = { namespaces: ["first"] };
const LONG = { kind: "echo", params: { count: 1_000, delay_ms: 1_000 } };

describe("the console of a caller with some rights", function () {
  this.timeout(SERVER_MS);
  let server: RightsServer;
  before(async () => {
    const authenticator = admitting({
      reader: { scopes: ["tasks:read"], ...IN_FIRST },
      starter: { scopes: ["tasks:start"], ...IN_FIRST },
      owner: { scopes: ["tasks:read", "tasks:start", "tasks:cancel", "tasks:delete"], ...IN_FIRST },
      labelled: { scopes: ["tasks:read"], labels: { team: "a" }, ...IN_FIRST },
      both: { scopes: ["tasks:read"], namespaces: ["first", "second"] },
      any: { scopes: ["tasks:read"], namespaces: ["f*", "s*"] },
      others: { scopes: ["tasks:read"], namespaces: ["second", "third"] },
    });
    server = await openRightsServer({ authenticator });
  });
  after(() => server[Symbol.asyncDispose]());

  it("disables the buttons of a task for which the caller lacks the scope, and says which scope", async () => {
    const taskId = await start(server.engines.first, LONG);
    await using visited = await visit(`${server.url}/#/tasks/${taskId}`);
    const { page } = visited;
    await signIn(page, "reader");
    const cancel = page.getByRole("button", { name: "Cancel" });
    await cancel.waitFor();
    assert.ok(await cancel.isDisabled());
    assert.equal(await cancel.getAttribute("title"), "reader needs the scope tasks:cancel.");
    assert.equal(await page.getByRole("link", { name: "Start again" }).count(), 0);
    await server.engines.first.cancelTask(taskId, { reason: "", by: null });
    const remove = page.getByRole("button", { name: "Delete" });
    await remove.waitFor();
    assert.equal(await remove.getAttribute("title"), "reader needs the scope tasks:delete.");
    assert.deepEqual(await placesOf(page), ["Tasks", "Overview"]);
    await page.goto(`${server.url}/#/start`);
    await page.getByText("reader needs the scope tasks:start.").waitFor();
  });

  it("offers all of it to a caller that has the scopes", async () => {
    const taskId = await start(server.engines.first, LONG);
    await using visited = await visit(`${server.url}/#/tasks/${taskId}`);
    const { page } = visited;
    await signIn(page, "owner");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel the task" }).click();
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete the task" }).click();
    await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
    assert.deepEqual(await placesOf(page), ["Tasks", "Overview", "Start"]);
    assert.equal(await page.getByLabel("Namespace").count(), 0);
  });

  it("makes no call that the server would refuse", async () => {
    for (const [caller, place, text] of [
      ["starter", "#/tasks", "starter needs the scope tasks:read."],
      ["starter", "#/start", "Start a task"],
      ["labelled", "#/overview", "activity is not counted by label"],
      ["labelled", "#/tasks", "No matching tasks"],
    ] as const) {
      await using visited = await visit(`${server.url}/${place}`); // It fails where the browser reports a refusal.
      await signIn(visited.page, caller);
      await visited.page.getByText(text).waitFor();
    }
  });

  it("shows the tasks of the namespace that the caller chooses, and keeps it in the URL", async () => {
    await start(server.engines.first, { kind: "echo", labels: { test: "in-first" } });
    const inSecond = await start(server.engines.second, { kind: "echo", labels: { test: "in-second" } });
    await using visited = await visit(server.url);
    const { page } = visited;
    await signIn(page, "both");
    await page.getByText("in-first").waitFor();
    assert.equal(await page.getByText("in-second").count(), 0);
    const field = page.getByLabel("Namespace");
    assert.deepEqual(await field.locator("option").allTextContents(), ["first", "second"]);
    await field.selectOption("second");
    await page.getByText("in-second").waitFor();
    assert.equal(await page.getByText("in-first").count(), 0);
    await page.getByRole("link", { name: "echo", exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "echo" }).waitFor();
    assert.equal(page.url(), `${server.url}/?namespace=second#/tasks/${inSecond}`);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "echo" }).waitFor();
    await page.goto(`${server.url}/#/tasks/${inSecond}`);
    await page.getByText("TASK_NOT_FOUND").waitFor();
    visited.expect(/404/);
  });

  it("lets a caller type a namespace if its rights have a pattern, and shows that there is none of the name", async () => {
    await start(server.engines.second, { kind: "echo", labels: { test: "typed" } });
    await using visited = await visit(server.url);
    visited.expect(/404/);
    const { page } = visited;
    await signIn(page, "any");
    await page.getByLabel("Namespace").fill("second");
    await page.getByLabel("Namespace").press("Enter");
    await page.getByText("typed").waitFor();
    await page.getByLabel("Namespace").fill("seventh");
    await page.getByLabel("Namespace").press("Enter");
    await page.getByRole("alert").getByText("NAMESPACE_NOT_FOUND").waitFor();
  });

  it("asks a caller of several namespaces to choose one if the default is not one of them", async () => {
    await using visited = await visit(server.url);
    const { page } = visited;
    await signIn(page, "others");
    await page.getByRole("heading", { name: "Choose a namespace" }).waitFor();
    await page.getByLabel("Namespace").selectOption("second");
    await eventually(async () => assert.equal(new URL(page.url()).search, "?namespace=second"));
    await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  });
});

/** The names in the main navigation. */
function placesOf(page: Page): Promise<string[]> {
  return page.getByRole("navigation", { name: "Main" }).getByRole("link").allTextContents();
}
