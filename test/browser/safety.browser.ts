import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { ATTACKS } from "./support/kinds.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";
import type { Visit } from "./support/visit.ts";

const [IMAGE, SCRIPT] = ATTACKS;

describe("the content of a task", () => {
  let stage: Stage;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
  });

  for (const fails of [false, true]) {
    it(`is shown as text and never run if the task ${fails ? "fails" : "succeeds"}`, async () => {
      const { task } = await stage.client.start({
        kind: "hostile",
        params: { fails, note: SCRIPT },
        labels: { first: IMAGE, second: SCRIPT },
        requestId: `${IMAGE} ${fails}`,
      });
      const { result, error } = await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
      assert.ok(fails ? error : result);
      await using visited = await visit(`${stage.server.url}/#/tasks?label=${encodeURIComponent(`first=${IMAGE}`)}`);
      const { page } = visited;
      await page
        .getByRole("link", { name: `first=${IMAGE}` })
        .first()
        .waitFor();
      await page.getByRole("button", { name: `Remove first=${IMAGE}` }).waitFor();
      await page.getByRole("link", { name: "hostile" }).first().click();
      await page.getByRole("heading", { level: 1, name: "hostile" }).waitFor();
      await page.getByText(`${IMAGE} ${fails}`).waitFor();
      await page.getByRole("progressbar", { name: IMAGE }).waitFor();
      const [facts, params, outcome] = await Promise.all(
        ["Facts", "Params", fails ? "Error" : "Result"].map((name) => page.getByRole("region", { name }).innerText()),
      );
      assert.ok(facts!.includes(SCRIPT), "labels");
      assert.ok(params!.includes(SCRIPT), "params");
      for (const attack of fails ? ATTACKS : [IMAGE, SCRIPT]) assert.ok(outcome!.includes(attack), attack);
      const rows = page.getByRole("listbox", { name: "Events" }).getByRole("option");
      const count = await rows.count();
      for (let row = 0; row < count; row++) {
        await rows.nth(row).click();
        await page.getByRole("heading", { level: 3, name: new RegExp(`^Event ${row + 1} `) }).waitFor();
      }
      for (const attack of ATTACKS)
        assert.ok(
          (await rows.allInnerTexts()).some((text) => text.includes(attack)),
          attack,
        );
      await assertUntouched(visited);
    });
  }

  it("is shown as text also in the reason of a cancel and in a search", async () => {
    const { task } = await stage.client.start({ kind: "steady" });
    await stage.client.cancel({ taskId: task.taskId, reason: IMAGE });
    await using visited = await visit(`${stage.server.url}/#/tasks/${task.taskId}`);
    const { page } = visited;
    await page.getByRole("listbox", { name: "Events" }).getByText(IMAGE).first().waitFor();
    await page.getByLabel("Contains text").fill(SCRIPT);
    await page.getByText(/^0 found in/).waitFor();
    await page.evaluate((attack) => (location.hash = `#/tasks?kind=${encodeURIComponent(attack)}`), IMAGE);
    await page.getByRole("button", { name: `Remove kind ${IMAGE}` }).waitFor();
    visited.expect(/400/);
    await page.getByRole("alert").waitFor();
    await page.evaluate((attack) => (location.hash = `#/tasks/${encodeURIComponent(attack)}`), SCRIPT);
    await page.getByText("Failed to load the task").waitFor();
    await assertUntouched(visited);
  });

  it("could not run as a script, because the policy of the page refuses foreign scripts", async () => {
    await using visited = await visit(`${stage.server.url}/`);
    const { page } = visited;
    visited.expect(/Content Security Policy|Trusted/);
    const { thrown, refusals } = await page.evaluate(async () => {
      const attempts: Record<string, () => void> = {
        handler: () => document.createElement("img").setAttribute("onerror", "document.title='attacked'"),
        script: () => (document.createElement("script").textContent = "document.title='attacked'"),
        elsewhere: () => (document.createElement("script").src = "http://127.0.0.1:9/"),
        markup: () => document.body.insertAdjacentHTML("beforeend", "<b>x</b>"),
      };
      const failed = Object.entries(attempts).map(([name, attempt]) => {
        try {
          attempt();
          return `${name} was let through`;
        } catch {
          return name;
        }
      });
      document.body.setAttribute("style", "color: red");
      const image = document.createElement("img");
      image.src = "http://127.0.0.1:9/";
      document.body.append(image);
      await fetch("http://127.0.0.1:9/").catch(() => failed.push("fetch"));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { thrown: failed, refusals: window.refusals.splice(0).map((refusal) => refusal.split(" ")[0]) };
    });
    assert.deepEqual(thrown, ["handler", "script", "elsewhere", "markup", "fetch"]);
    for (const directive of ["style-src-attr", "img-src", "connect-src"]) {
      assert.ok(refusals.includes(directive), `${directive} in ${refusals.join(", ")}`);
    }
  });
});

/** Nothing has run, nothing was made of the texts, and no link leads anywhere but into this page. */
async function assertUntouched({ page }: Visit): Promise<void> {
  await eventually(async () => assert.match(await page.title(), /· Spool$/));
  const found = await page.evaluate(() => ({
    elements: document.querySelectorAll("body :is(img, script, svg, iframe, object, embed)").length,
    links: [...document.links].map(({ href }) => href).filter((href) => !href.startsWith(`${location.origin}/#`)),
    handlers: [...document.querySelectorAll("body *")].filter((element) =>
      element.getAttributeNames().some((name) => name.startsWith("on")),
    ).length,
  }));
  assert.deepEqual(found, { elements: 0, links: [], handlers: 0 });
}
