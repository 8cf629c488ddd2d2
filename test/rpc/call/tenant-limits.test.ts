import assert from "node:assert/strict";
import * as fc from "fast-check";
import { LimitExceeded } from "../../../src/domain/errors.ts";
import { TaskService } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { TenantLimits } from "../../../src/rpc/call/tenant-limits.ts";
import type { Tenant } from "../../../src/rpc/call/tenant-limits.ts";

const { startTask, runTask, getTask } = TaskService.method;

const namespace = (limits: Tenant["limits"], name = "a"): Tenant => ({ of: "namespace", name, limits });
const principal = (limits: Tenant["limits"], name = "p"): Tenant => ({ of: "principal", name, limits });

function refusalOf(work: () => unknown): LimitExceeded {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof LimitExceeded);
    return error;
  }
  assert.fail("nothing was refused");
}

describe("the starts of a tenant", () => {
  it("are refused past the starts of one second, with the time until the next one", () => {
    let now = 0;
    const limits = new TenantLimits(() => now);
    const tenants = [namespace({ startsPerSecond: 4 })];
    for (let count = 0; count < 4; count++) limits.admit(startTask, tenants);
    const refused = refusalOf(() => limits.admit(runTask, tenants));
    assert.deepEqual(refused.metadata, { limit: "starts_per_second", max: "4", of: "namespace" });
    assert.equal(refused.retryAfterMs, 250);
    now += 250;
    limits.admit(startTask, tenants);
    assert.throws(() => limits.admit(startTask, tenants), LimitExceeded);
  });

  it("are never more than the rate allows, whenever they come", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 50, noNaN: true }), gaps, (startsPerSecond, pauses) => {
        let now = 0;
        const limits = new TenantLimits(() => now);
        let admitted = 0;
        for (const pause of pauses) {
          now += pause;
          try {
            limits.admit(startTask, [namespace({ startsPerSecond })]);
            admitted++;
          } catch (error) {
            const { retryAfterMs } = error as LimitExceeded;
            assert.ok(retryAfterMs! > 0 && retryAfterMs! <= 10_001, `${retryAfterMs} ms`);
          }
        }
        assert.ok(admitted <= Math.max(1, startsPerSecond) + (now / 1_000) * startsPerSecond + 1e-6);
      }),
    );
  });

  it("succeed for all refused callers of the last 10 s that come back when they were told", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 50 }), gaps, (startsPerSecond, pauses) => {
        let now = 0;
        const limits = new TenantLimits(() => now);
        const tenants = [namespace({ startsPerSecond })];
        for (let count = 0; count < startsPerSecond; count++) limits.admit(startTask, tenants);
        const returns: number[] = [];
        for (const pause of pauses) {
          returns.push(now + refusalOf(() => limits.admit(startTask, tenants)).retryAfterMs!);
          now = Math.min(now + pause, returns[0]! - 1);
        }
        for (const time of returns) {
          now = time;
          limits.admit(startTask, tenants);
        }
      }),
    );
  });

  it("are told to come back at any of the times of 10 s if more callers were refused", () => {
    let now = 0;
    const limits = new TenantLimits(() => now);
    const tenants = [namespace({ startsPerSecond: 1 })];
    limits.admit(startTask, tenants);
    const told = Array.from({ length: 25 }, () => refusalOf(() => limits.admit(startTask, tenants)).retryAfterMs!);
    assert.deepEqual(
      told.map((ms) => ms / 1_000),
      Array.from({ length: 25 }, (_, refused) => (refused % 10) + 1),
    );
    now = 60_000;
    limits.admit(startTask, tenants);
    assert.equal(refusalOf(() => limits.admit(startTask, tenants)).retryAfterMs, 1_000);
  });

  it("take nothing from a tenant if another tenant of the call is over its limit", () => {
    const limits = new TenantLimits(() => 0);
    const caller = principal({ startsPerSecond: 1 }, "busy");
    const busy = [namespace({ startsPerSecond: 1 }), caller];
    limits.admit(startTask, [caller]);
    assert.equal(refusalOf(() => limits.admit(startTask, busy)).metadata["of"], "principal");
    limits.admit(startTask, [namespace({ startsPerSecond: 1 })]);
  });

  it("have a new limit at once when it is changed", () => {
    const limits = new TenantLimits(() => 0);
    limits.admit(startTask, [namespace({ startsPerSecond: 1 })]);
    assert.throws(() => limits.admit(startTask, [namespace({ startsPerSecond: 1 })]), LimitExceeded);
    limits.admit(startTask, [namespace({ startsPerSecond: 2 })]);
    limits.admit(startTask, [namespace({})]);
  });

  it("are counted apart for each tenant, and reads are not counted", () => {
    const limits = new TenantLimits(() => 0);
    for (const name of ["a", "b"]) limits.admit(startTask, [namespace({ startsPerSecond: 1 }, name)]);
    for (let token = 0; token < 2; token++) limits.admit(startTask, [principal({ startsPerSecond: 1 }, "a")]);
    for (let count = 0; count < 9; count++) limits.admit(getTask, [namespace({ startsPerSecond: 1 })]);
  });
});

describe("the streams of a tenant", () => {
  it("are refused past the limit, until one ends", () => {
    const limits = new TenantLimits();
    const tenants = [namespace({ streams: 2 }), principal({ streams: 3 })];
    const open = [limits.openStream(tenants), limits.openStream(tenants)];
    const refused = refusalOf(() => limits.openStream(tenants));
    assert.deepEqual(refused.metadata, { limit: "streams", max: "2", of: "namespace" });
    assert.equal(refused.retryAfterMs, undefined);
    open[0]![Symbol.dispose]();
    limits.openStream(tenants);
    assert.throws(() => limits.openStream(tenants), LimitExceeded);
  });
});
