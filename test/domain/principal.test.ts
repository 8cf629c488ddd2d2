import assert from "node:assert/strict";
import fc from "fast-check";
import { ALL_GRANTS, isRestricted, matchesAny, maySee, visibleTasks } from "../../src/domain/principal.ts";
import type { Grants } from "../../src/domain/principal.ts";

const NAME = fc.string({ unit: fc.constantFrom("a", "b", ".", "-"), maxLength: 5 });

describe("a pattern", () => {
  it("without * matches its own name only", () => {
    fc.assert(fc.property(NAME, NAME, (pattern, name) => matchesAny([pattern], name) === (pattern === name)));
  });

  it("with * at its end matches the names that begin with it", () => {
    fc.assert(
      fc.property(NAME, NAME, (prefix, rest) => {
        assert.equal(matchesAny([`${prefix}*`], prefix + rest), true);
        assert.equal(matchesAny([`${prefix}c*`], prefix + rest), false);
      }),
    );
  });

  it("matches no name by a * before its end", () => {
    assert.equal(matchesAny(["*a", "a*b"], "aa"), false);
    assert.equal(matchesAny(["a*b"], "a*b"), true);
  });

  it("matches by letter case, and an empty list of patterns matches no name", () => {
    assert.equal(matchesAny(["a", "b*"], "A"), false);
    assert.equal(matchesAny([], "a"), false);
    assert.equal(matchesAny([], ""), false);
  });
});

describe("a caller", () => {
  const grants = (some: Partial<Grants>): Grants => ({ ...ALL_GRANTS, ...some });
  const task = { taskId: "a task", kind: "echo", labels: { team: "a", env: "x" } };

  it("is restricted by kinds, labels and a task, and not by namespaces or scopes", () => {
    assert.equal(isRestricted(ALL_GRANTS), false);
    assert.equal(isRestricted(grants({ namespaces: [], scopes: [] })), false);
    assert.equal(isRestricted(grants({ kinds: ["a", "*"] })), false);
    for (const some of [{ kinds: ["a*"] }, { kinds: [] }, { labels: { a: "" } }, { taskId: "a task" }]) {
      assert.equal(isRestricted(grants(some)), true, JSON.stringify(some));
    }
  });

  it("sees a task with one of its kinds, all of its labels and its id", () => {
    const sees = (some: Partial<Grants>) => maySee(grants(some), task);
    const right = { kinds: ["x", "ec*"], labels: { env: "x" }, taskId: "a task" };
    assert.equal(sees(right), true);
    for (const wrong of [
      { kinds: [] },
      { kinds: ["ech"] },
      { labels: { env: "y" } },
      { labels: { env: "x", more: "" } },
      { labels: { toString: "x" } },
      { taskId: "another" },
    ]) {
      assert.equal(sees({ ...right, ...(wrong as Partial<Grants>) }), false, JSON.stringify(wrong));
    }
  });

  it("with no kind at all sees no task, in lists either", () => {
    const { kinds } = visibleTasks(grants({ kinds: [] }));
    assert.ok(kinds.length > 0, "an empty list stands for all kinds");
    assert.equal(matchesAny(kinds, task.kind), false);
    assert.deepEqual(visibleTasks(ALL_GRANTS), { kinds: [], labels: {} });
  });
});
