import assert from "node:assert/strict";
import { eventually } from "../support/eventually.ts";
import { sharedStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

describe("the overview of the console", () => {
  let stage: Stage;
  before(async function () {
    this.timeout(60_000);
    stage = await sharedStage();
    const { task } = await stage.client.start({ kind: "flaky" });
    await stage.client.waitFinal({ taskId: task.taskId, timeoutMs: 30_000 });
  });

  it("shows counts of each kind and the servers and workers, and polls without a stream", async () => {
    await using visited = await visit(`${stage.server.url}/#/overview`);
    const { page } = visited;
    const row = page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: "flaky" }) });
    await row.waitFor();
    const cells = await row.getByRole("cell").allInnerTexts();
    assert.ok(Number(cells[2]) >= 1, "it has succeeded");
    assert.match(cells[5]!, /(ms|s)$/);
    await page.getByRole("region", { name: "Servers and workers" }).getByText("server", { exact: true }).waitFor();
    const { task } = await stage.client.start({ kind: "steady" });
    const before = Number(cells[2]);
    const { task: again } = await stage.client.start({ kind: "flaky" });
    await stage.client.waitFinal({ taskId: again.taskId, timeoutMs: 30_000 });
    await eventually(async () => {
      assert.equal(Number((await row.getByRole("cell").allInnerTexts())[2]), before + 1);
      assert.equal(await page.locator(".total.running dd").innerText(), "1");
    });
    assert.equal(await visited.streamsMax(), 0);
    await stage.client.cancel({ taskId: task.taskId });
    await row.getByRole("link", { name: "flaky" }).click();
    await page.waitForURL(/#\/tasks\?kind=flaky$/);
  });

  it("plots begun and ended tasks, and plots again in other colors and for another period", async () => {
    await using visited = await visit(`${stage.server.url}/#/overview`, { colorScheme: "light" });
    const { page } = visited;
    visited.expect(/willReadFrequently/); // Of the looks below.
    await page.getByRole("figure").nth(1).waitFor();
    const drawn = () =>
      page.getByRole("figure").evaluateAll((figures) =>
        figures.map((figure) => {
          const canvas = figure.querySelector("canvas")!;
          const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
          return new Set(new Uint32Array(data.buffer)).size;
        }),
      );
    await eventually(async () => assert.ok((await drawn()).every((colors) => colors > 8)));
    await page.emulateMedia({ colorScheme: "dark" });
    await eventually(async () => assert.ok((await drawn()).every((colors) => colors > 8)));
    await page.getByLabel("The last").selectOption("15 minutes");
    await page.getByRole("figure").nth(1).waitFor();
    await eventually(async () => assert.ok((await drawn()).every((colors) => colors > 8)));
  });
});
