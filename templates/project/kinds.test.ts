import assert from "node:assert/strict";
import { test } from "node:test";
import { runKind } from "@spooltape/client/testing";
import { countWords } from "./kinds.ts";

// runKind runs the code of a kind in this process, without a server.

test("count-words counts the words and reports its progress", async () => {
  const run = await runKind(countWords, { texts: ["one two", "three"] });
  assert.deepEqual(run.result, { words: 3 });
  assert.equal(run.events.filter((event) => event.type === "progress").length, 2);
});
