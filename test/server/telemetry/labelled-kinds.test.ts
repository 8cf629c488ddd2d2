import assert from "node:assert/strict";
import { ASKED_LABELS_MAX, KIND_LABELS_MAX, LabelledKinds } from "../../../src/server/telemetry/labelled-kinds.ts";

describe("the kinds with their own label", () => {
  const labelled = (own: readonly string[] = []) => new LabelledKinds((label) => label, own);
  const kinds = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

  it("are those of this process and those that callers name, each with its own value", () => {
    const held = new LabelledKinds((label) => ({ label }), ["own"]);
    assert.equal(held.of("own"), held.ofRun("own"));
    assert.equal(held.of("another"), held.of("another"));
    assert.deepEqual(held.labels, ["own", "another"]);
    assert.deepEqual(
      held.all.map(({ label }) => label),
      ["own", "another", "other"],
    );
  });

  it(`include at most ${ASKED_LABELS_MAX} kinds that this process does not run: one more gets the shared label`, () => {
    const held = labelled(["own"]);
    for (const kind of kinds("asked", ASKED_LABELS_MAX)) assert.equal(held.of(kind), kind);
    assert.equal(held.of("one-more"), "other");
    assert.equal(held.labels.length, 1 + ASKED_LABELS_MAX);
    assert.equal(held.of("asked-0"), "asked-0");
    assert.equal(held.ofRun("one-more"), "one-more");
    assert.equal(held.of("one-more"), "one-more");
  });

  it("have room for another kind once a named kind runs here", () => {
    const held = labelled();
    for (const kind of kinds("asked", ASKED_LABELS_MAX)) held.of(kind);
    assert.equal(held.ofRun("asked-0"), "asked-0");
    assert.equal(held.of("one-more"), "one-more");
    assert.equal(held.of("two-more"), "other");
  });

  it(`are at most ${KIND_LABELS_MAX}: one more gets the shared label, even if this process runs it`, () => {
    const held = labelled(kinds("own", KIND_LABELS_MAX - 1));
    assert.equal(held.ofRun("the-last"), "the-last");
    assert.equal(held.ofRun("one-more"), "other");
    assert.equal(held.of("two-more"), "other");
    assert.equal(held.labels.length, KIND_LABELS_MAX);
    assert.equal(held.all.length, KIND_LABELS_MAX + 1);
    assert.equal(labelled(kinds("own", KIND_LABELS_MAX + 1)).labels.length, KIND_LABELS_MAX);
  });

  it("exclude a kind named like the shared label", () => {
    const held = labelled();
    assert.deepEqual([held.of("other"), held.ofRun("other")], ["other", "other"]);
    assert.deepEqual(held.all, ["other"]);
  });
});
