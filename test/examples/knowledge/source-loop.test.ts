import assert from "node:assert/strict";
import * as v from "valibot";
import type { JsonObject } from "../../../src/domain/json.ts";
import { defineKind } from "../../../src/kinds/define-kind.ts";
import { ErrorReport } from "../../../examples/knowledge/reported-errors.ts";
import { forEachSource } from "../../../examples/knowledge/source-loop.ts";
import { runRecorded } from "../../support/recorded-context.ts";
import type { Recorded } from "../../support/recorded-context.ts";

const STOPPED = new Error("the server shuts down");

/** A kind that goes through these paths; the ones that begin with x are errors. */
function walk(paths: readonly string[], seen: string[] = []) {
  return defineKind({
    name: "walk",
    params: v.object({}),
    async run(task) {
      const counts = { done: 0 };
      const errors = new ErrorReport();
      const comparePaths = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
      const sources = paths.map((path) => ({ path }));
      await forEachSource(task, { phase: "walk", sources, comparePaths, counts, errors }, ({ path }) => {
        seen.push(path);
        if (!path.startsWith("x")) return Promise.resolve("done");
        errors.add({ path });
        return Promise.resolve("error");
      });
      return { ...counts, ...errors.report() };
    },
  });
}

/** Runs until so many sources are done, is stopped then, and gives the checkpoint that it leaves. */
async function stopAfter(steps: number, paths: readonly string[], checkpoint: JsonObject | null = null) {
  const abort = new AbortController();
  let left: JsonObject | null = null;
  const onEvent = (event: Recorded) => {
    if (event.type === "progress" && --steps === 0) abort.abort(STOPPED);
    if (event.type === "partial" && event.kind === "checkpoint") left = event.payload;
  };
  const run = runRecorded(walk(paths), {}, { signal: abort.signal, checkpoint, onEvent });
  await assert.rejects(run, STOPPED);
  assert.ok(left);
  return left as JsonObject;
}

describe("a loop over sources", () => {
  const paths = ["a", "b", "c", "x1", "x2", "y"];

  it("continues after a stop behind the last finished source, and reports on all sources", async () => {
    const whole = (await runRecorded(walk(paths), {})).result;
    assert.deepEqual(whole, { done: 4, errors: [{ path: "x1" }, { path: "x2" }], errors_total: 2 });
    for (let first = 1; first <= paths.length; first++) {
      const seen: string[] = [];
      const checkpoint = await stopAfter(first, paths);
      const { result, events } = await runRecorded(walk(paths, seen), {}, { checkpoint });
      assert.deepEqual([result, seen], [whole, paths.slice(first)]);
      assert.deepEqual(
        events.map((event) => event.type === "progress" && event.current),
        paths.slice(first).map((_, index) => first + index + 1),
      );
    }
  });

  it("can be stopped repeatedly", async () => {
    let checkpoint: JsonObject | null = null;
    for (let attempt = 1; attempt < paths.length; attempt++) checkpoint = await stopAfter(1, paths, checkpoint);
    const { result } = await runRecorded(walk(paths), {}, { checkpoint });
    assert.deepEqual([result.done, result.errors_total], [4, 2]);
  });

  it("continues behind its position even if the source at the position is removed", async () => {
    const seen: string[] = [];
    const checkpoint = await stopAfter(2, paths);
    await runRecorded(walk(["a", "aa", "bb", "c"], seen), {}, { checkpoint });
    assert.deepEqual(seen, ["bb", "c"]);
  });

  it("writes checkpoints also between stops, each within the size of an event", async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => `x${String(index).padStart(200, "0")}`);
    const { partials, result } = await runRecorded(walk(many), {});
    const left = partials("checkpoint");
    assert.deepEqual(
      left.map(({ done, errors_total: total }) => [done, total]),
      [
        [many[999], 1_000],
        [many[1_999], 2_000],
      ],
    );
    for (const checkpoint of left) assert.ok(Buffer.byteLength(JSON.stringify(checkpoint)) < 200 * 1024);
    assert.equal(result.errors_total, 2_500);
  });
});
