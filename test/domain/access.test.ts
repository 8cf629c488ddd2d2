import assert from "node:assert/strict";
import fc from "fast-check";
import { authorize } from "../../src/domain/access.ts";
import type { RequiredAccess } from "../../src/domain/access.ts";
import { SpoolError } from "../../src/domain/errors.ts";
import { ALL_GRANTS, SCOPES } from "../../src/domain/principal.ts";
import type { Principal } from "../../src/domain/principal.ts";

const READ: RequiredAccess = { scopes: ["tasks:read"], isForOneTask: true, isForService: false };

function principal(some: Partial<Principal> = {}): Principal {
  return { ...ALL_GRANTS, name: "the caller", ...some };
}

/** Returns the namespace of a call, or the error that refuses the call. */
function outcome(caller: Principal, { required = READ, chosen }: { required?: RequiredAccess; chosen?: string } = {}) {
  try {
    return authorize(caller, required, { chosen, fallback: "default" });
  } catch (error) {
    assert.ok(error instanceof SpoolError);
    return { reason: error.reason, ...error.metadata };
  }
}

describe("authorization", () => {
  it("needs every scope of the call, and names the first that is missing", () => {
    fc.assert(
      fc.property(fc.subarray([...SCOPES]), fc.subarray([...SCOPES]), (scopes, needed) => {
        const missing = needed.find((scope) => !scopes.includes(scope));
        const refusal = { reason: "PERMISSION_DENIED", principal: "the caller", scope: missing };
        const required = { scopes: needed, isForOneTask: false, isForService: false };
        assert.deepEqual(outcome(principal({ scopes }), { required }), missing === undefined ? "default" : refusal);
      }),
    );
  });

  it("refuses calls that do not concern one task to callers with one task, whatever their scopes", () => {
    const caller = principal({ taskId: "a task" });
    assert.equal(outcome(caller), "default");
    const required = { scopes: [], isForOneTask: false, isForService: false };
    assert.deepEqual(outcome(caller, { required }), { reason: "PERMISSION_DENIED", principal: "the caller" });
  });

  it("refuses calls on the whole service to callers of some namespaces or some tasks", () => {
    const required = { scopes: [], isForOneTask: false, isForService: true };
    assert.equal(outcome(principal(), { required }), "default");
    for (const some of [
      { namespaces: ["default"] },
      { namespaces: ["d*"] },
      { kinds: ["a*"] },
      { labels: { a: "b" } },
    ]) {
      const refusal = { reason: "PERMISSION_DENIED", principal: "the caller" };
      assert.deepEqual(outcome(principal(some), { required }), refusal);
    }
  });

  it("takes the chosen namespace if a pattern of the caller matches it", () => {
    const caller = principal({ namespaces: ["own", "team-*"] });
    for (const chosen of ["own", "team-", "team-a"]) assert.equal(outcome(caller, { chosen }), chosen);
    for (const namespace of ["default", "owner", "team", "Own"]) {
      const refusal = { reason: "PERMISSION_DENIED", principal: "the caller", namespace };
      assert.deepEqual(outcome(caller, { chosen: namespace }), refusal);
    }
  });

  it("refuses a namespace that is no name, before an error repeats it", () => {
    for (const chosen of ["", " ", "a b", "a,b", "ä", "../default", "a\0", "x".repeat(64), "*"]) {
      assert.deepEqual(outcome(principal(), { chosen }), { reason: "INVALID_ARGUMENT" }, chosen);
    }
    assert.equal(outcome(principal(), { chosen: "x".repeat(63) }), "x".repeat(63));
  });

  it("takes the default namespace of the server, or else the only namespace of the caller", () => {
    const of = (...namespaces: string[]) => outcome(principal({ namespaces }));
    assert.equal(of("*"), "default");
    assert.equal(of("other", "def*"), "default");
    assert.equal(of("own"), "own");
    for (const several of [[], ["own", "other"], ["own*"]]) {
      assert.deepEqual(of(...several), { reason: "INVALID_ARGUMENT" }, JSON.stringify(several));
    }
  });
});
