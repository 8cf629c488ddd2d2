import assert from "node:assert/strict";
import { toLimitsMessage } from "../../../src/codec/limits.ts";
import { TENANT_LIMITS } from "../../../src/domain/limits.ts";
import type { Limits } from "../../../src/domain/tenant-limits.ts";
import { Checks } from "../../../src/rpc/validation/checks.ts";
import { parseLimits } from "../../../src/rpc/validation/parse-limits.ts";

function parse(limits: Limits): Limits {
  const checks = new Checks();
  return checks.passed(parseLimits(checks.within("limits"), toLimitsMessage(limits)));
}

describe("parseLimits", () => {
  it("accepts each limit at its bounds, and names the field and the bounds past them", () => {
    for (const [name, [min, max]] of Object.entries(TENANT_LIMITS)) {
      assert.deepEqual(parse({ [name]: min }), { [name]: min });
      assert.deepEqual(parse({ [name]: max }), { [name]: max });
      const field = `limits.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`;
      const description = `must be ${min.toLocaleString("en-US")} to ${max.toLocaleString("en-US")}`;
      for (const limit of [0, max + 1]) {
        assert.throws(() => parse({ [name]: limit }), { violations: [{ field, description }] });
      }
    }
  });

  it("accepts no limits at all", () => {
    assert.deepEqual(parse({}), {});
  });
});
