import assert from "node:assert/strict";
import fc from "fast-check";
import { contains, intersect, requireGrants } from "../../src/domain/grants.ts";
import { ALL_GRANTS, matchesAny, SCOPES } from "../../src/domain/principal.ts";
import type { Grants } from "../../src/domain/principal.ts";

const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 });
const pattern = fc.oneof(
  name,
  fc.constant("*"),
  name.map((text) => `${text}*`),
);
const grants: fc.Arbitrary<Grants> = fc.record({
  namespaces: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  scopes: fc.subarray([...SCOPES]),
  kinds: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  labels: fc.dictionary(fc.constantFrom("team", "tier"), fc.constantFrom("1", "2")),
  taskId: fc.constant(null),
});

describe("the rights that a caller gives", () => {
  it("are within its own if every name that they match is matched by its own", () => {
    fc.assert(
      fc.property(grants, grants, name, (own, wanted, some) => {
        if (!contains(own, wanted)) return;
        assert.ok(!matchesAny(wanted.kinds, some) || matchesAny(own.kinds, some));
        assert.ok(!matchesAny(wanted.namespaces, some) || matchesAny(own.namespaces, some));
      }),
    );
  });

  it("name the right that is missing", () => {
    const own = { ...ALL_GRANTS, name: "ops", namespaces: ["team-*"], kinds: ["ingest"], labels: { team: "a" } };
    const wanted = { ...own, namespaces: ["team-b"] };
    requireGrants(own, wanted);
    const refused = (changed: Partial<Grants>, metadata: object, message: RegExp) =>
      assert.throws(() => requireGrants({ ...own, scopes: ["admin"] }, { ...wanted, scopes: ["admin"], ...changed }), {
        reason: "PERMISSION_DENIED",
        metadata: { principal: "ops", ...metadata },
        message,
      });
    refused({ scopes: ["work"] }, { scope: "work" }, /cannot give the scope "work"/);
    refused({ namespaces: ["*"] }, { namespace: "*" }, /cannot give the namespace "\*"/);
    refused({ namespaces: ["team"] }, { namespace: "team" }, /"team"/);
    refused({ kinds: ["ingest*"] }, { kind: "ingest*" }, /cannot give the kind "ingest\*"/);
    refused({ labels: {} }, { label: "team=a" }, /can only give rights with the label team=a/);
    refused({ labels: { team: "b" } }, { label: "team=a" }, /team=a/);
  });
});

describe("rights that are narrowed", () => {
  it("never exceed either of both, and match what both match", () => {
    fc.assert(
      fc.property(grants, grants, name, (own, asked, some) => {
        const both = intersect(own, asked);
        if (both === null) return;
        assert.ok(contains(own, both) && contains(asked, both));
        for (const field of ["kinds", "namespaces"] as const) {
          assert.equal(matchesAny(both[field], some), matchesAny(own[field], some) && matchesAny(asked[field], some));
        }
      }),
    );
  });

  it("stay as they are by what is not asked, and are none if a label differs", () => {
    const own = { ...ALL_GRANTS, labels: { team: "a" } };
    assert.deepEqual(intersect(own, {}), own);
    assert.deepEqual(intersect(own, { labels: { tier: "1" } })?.labels, { team: "a", tier: "1" });
    assert.equal(intersect(own, { labels: { team: "b" } }), null);
  });
});
