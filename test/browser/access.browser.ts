import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { faintTexts } from "./support/contrast.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { tapeList } from "./support/tape-rows.ts";
import { visit } from "./support/visit.ts";

/** To be looked at by people: nothing compares them. */
const SCREENSHOTS = join(import.meta.dirname, "screenshots");
const LONG = "x".repeat(128);

describe("the console", () => {
  let stage: Stage;
  /** A fragment for each page. */
  let pages: Record<string, string>;
  before(async function () {
    this.timeout(60_000);
    mkdirSync(SCREENSHOTS, { recursive: true });
    stage = await sharedStage();
    const labels = { team: "search", env: "prod", long: LONG };
    const { task: done } = await stage.client.start({ kind: "loud", params: { events: 300, delay_ms: 2 }, labels });
    const { task: retried } = await stage.client.start({ kind: "flaky", labels: { team: "search" } });
    await stage.client.start({ kind: "steady", params: { delay_ms: 1_000 }, labels: { team: "search", env: "dev" } });
    await stage.client.start({ kind: LONG, labels: { team: "search" } });
    await stage.client.waitFinal({ taskId: done.taskId, timeoutMs: 30_000 });
    await stage.client.waitFinal({ taskId: retried.taskId, timeoutMs: 30_000 });
    pages = {
      list: "#/tasks?label=team%3Dsearch",
      task: `#/tasks/${done.taskId}?seq=3`,
      retried: `#/tasks/${retried.taskId}`,
      start: `#/start?from=${done.taskId}`,
      overview: "#/overview",
    };
  });
  after(async () => {
    const running = await Array.fromAsync(stage.client.list({ labels: { team: "search" } }));
    await Promise.all(running.map(({ taskId }) => stage.client.cancel({ taskId })));
  });

  for (const [scheme, width] of [
    ["light", 1_280],
    ["dark", 1_280],
    ["light", 360],
    ["dark", 360],
  ] as const) {
    it(`is readable in ${scheme} colors at ${width} pixels without horizontal scrolling`, async () => {
      const viewport = { width, height: width === 360 ? 740 : 900 };
      await using visited = await visit(stage.server.url, { colorScheme: scheme, viewport });
      const { page } = visited;
      for (const [name, fragment] of Object.entries(pages)) {
        await goTo(page, fragment);
        const widths = await page.evaluate(() => [document.scrollingElement!.scrollWidth, innerWidth]);
        assert.ok(widths[0]! <= widths[1]!, `${name} is ${widths[0]} wide in ${widths[1]}`);
        assert.deepEqual(await faintTexts(page), [], name);
        await page.screenshot({ path: join(SCREENSHOTS, `${name}-${scheme}-${width}.png`), fullPage: true });
      }
    }).timeout(40_000);
  }

  it("has landmarks, one main heading, ordered headings, and a name on every control", async () => {
    await using visited = await visit(stage.server.url);
    const { page } = visited;
    for (const [name, fragment] of Object.entries(pages)) {
      await goTo(page, fragment);
      for (const landmark of ["banner", "main"] as const) assert.equal(await page.getByRole(landmark).count(), 1, name);
      await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Overview" }).waitFor();
      const levels = await page.getByRole("heading").evaluateAll((all) => all.map(({ tagName }) => Number(tagName[1])));
      assert.equal(levels[0], 1, name);
      assert.equal(levels.filter((level) => level === 1).length, 1, name);
      assert.ok(
        levels.every((level, index) => index === 0 || level <= levels[index - 1]! + 1),
        `${name}: ${levels.join()}`,
      );
      const roles =
        "button|textbox|link|combobox|checkbox|searchbox|spinbutton|listbox|progressbar|table|dialog|region";
      const nameless = (await page.locator("body").ariaSnapshot())
        .split("\n")
        .filter((line) => new RegExp(`^\\s*- (${roles})(:| \\[|$)`).test(line));
      assert.deepEqual(nameless, [], name);
      assert.ok((await page.title()).endsWith("· Spool"));
    }
  }).timeout(40_000);

  it("can be used with only the keyboard: to a task, along its tape, to its cancel, and back", async () => {
    const { task } = await stage.client.start({ kind: "steady", labels: { test: "keyboard" } });
    await using visited = await visit(`${stage.server.url}/#/tasks?label=test%3Dkeyboard`);
    const { page } = visited;
    await page.getByRole("link", { name: "steady" }).waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await focused(page), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement!.id), "main");
    await tabTo(page, "steady");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "steady" }).waitFor();
    await eventually(async () => assert.equal(await focused(page), "steady", "the new page's heading has the focus"));

    await eventually(async () => assert.ok((await tapeList(page).getByRole("option").count()) > 4));
    await tabTo(page, "Events");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    await page.getByRole("region", { name: "Event 2 progress" }).waitFor();
    assert.equal(await tapeList(page).getAttribute("aria-activedescendant"), "event-2");
    await page.keyboard.press("Escape");
    await eventually(async () => assert.equal(await page.getByRole("region", { name: /^Event/ }).count(), 0));

    await tabTo(page, "Cancel", { backwards: true });
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await eventually(async () => assert.equal(await focused(page), "Cancel", "the focus is where it was"));
    await page.keyboard.press("Enter");
    await page.keyboard.type("by hand");
    await tabTo(page, "Cancel the task");
    await page.keyboard.press("Enter");
    assert.equal((await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 })).status, "cancelled");
    await tabTo(page, "Tasks", { backwards: true });
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Tasks" }).waitFor();
  }).timeout(40_000);

  it("marks the focus and never traps it", async () => {
    await using visited = await visit(stage.server.url);
    const { page } = visited;
    for (const [name, fragment] of Object.entries(pages)) {
      await goTo(page, fragment);
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      const seen = new Set<string>();
      for (let press = 0; press < 400; press++) {
        await page.keyboard.press("Tab");
        const { path, isMarked } = await page.evaluate(() => {
          const active = document.activeElement!;
          const marks = [active, active.nextElementSibling].filter((element) => element !== null);
          const index = [...document.querySelectorAll("*")].indexOf(active);
          const path = active === document.body ? "" : `${active.tagName} ${index}`;
          return { path, isMarked: marks.some((mark) => getComputedStyle(mark).outlineStyle === "solid") };
        });
        if (path === "" || seen.has(path)) break;
        assert.ok(isMarked, `${name}: ${path} (${await focused(page)}) shows its focus`);
        seen.add(path);
        assert.ok(press < 399, `${name} lets the focus out`);
      }
      assert.ok(seen.size > 5, `${name}: ${seen.size}`);
    }
  }).timeout(60_000);

  it("uses the chosen colors and remembers them", async () => {
    await using visited = await visit(stage.server.url, { colorScheme: "light" });
    const { page } = visited;
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await page.getByRole("button", { name: "Colours: auto" }).click();
    await page.getByRole("button", { name: "Colours: light" }).click();
    await page.getByRole("button", { name: "Colours: dark" }).waitFor();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    await page.getByRole("button", { name: "Colours: dark" }).waitFor();
    assert.equal(await ground(), dark);
    await page.getByRole("button", { name: "Colours: dark" }).click();
    await page.emulateMedia({ colorScheme: "dark" });
    await eventually(async () => assert.equal(await ground(), dark));
  });
});

/** Goes to a page, and waits until it has read what it shows. */
async function goTo(page: Page, fragment: string): Promise<void> {
  await page.evaluate((to) => (location.hash = to), fragment);
  await eventually(async () => {
    assert.equal(await page.getByText(/^Loading /).count(), 0);
    assert.ok((await page.getByRole("main").innerText()).length > 100);
    const rows = tapeList(page).getByRole("option");
    assert.ok(!fragment.startsWith("#/tasks/") || (await rows.count()) > 3);
    assert.ok(!fragment.includes("seq=") || (await page.getByRole("region", { name: /^Event/ }).count()) === 1);
  });
}

/** What has the focus, by its name. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const active = document.activeElement!;
    return active.getAttribute("aria-label") ?? active.textContent.trim();
  });
}

async function tabTo(page: Page, name: string, { backwards = false } = {}): Promise<void> {
  for (let press = 0; press < 100; press++) {
    await page.keyboard.press(backwards ? "Shift+Tab" : "Tab");
    if ((await focused(page)) === name) return;
  }
  assert.fail(`no Tab leads to ${name}`);
}
