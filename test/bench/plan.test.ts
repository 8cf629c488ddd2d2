import assert from "node:assert/strict";
import { planOf } from "../../bench/plan/plan.ts";

const ROWS = [
  { of: "short-task", parts: { client: 100, server: 200, database: 300 } },
  { of: "event", parts: { client: 1, server: 2, database: 3 } },
  { of: "claim", parts: { server: 100, database: 200 } },
  { of: "upkeep", parts: { database: 30 } },
  { of: "waiting-follower", parts: { client: 1, server: 5, database: 1 } },
  { of: "woken-follower", parts: { client: 5, server: 10, database: 0 } },
];
const LOAD = {
  tasksPerDay: 8_640_000,
  peak: 2,
  events: 20,
  waiting: 0.5,
  followers: 10_000,
  followersPerEvent: 3,
  busy: 0.5,
};

describe("the plan of a load", () => {
  it("adds the CPU time of a task's parts, and divides by the share of a core that may be busy", () => {
    const { serverCores, ...plan } = planOf(ROWS, LOAD);
    assert.deepEqual(plan, {
      tasksPerSecond: 200,
      serverUs: 200 + 10 * 2 + 0.5 * 100 + 2 * 20 * 10,
      databaseUs: 300 + 10 * 3 + 0.5 * 200 + 30 + 120,
      clientUs: 110,
      followersServerUs: 50_000,
      followersDatabaseUs: 10_000,
      servers: 2,
      databaseCores: (200 * 580 + 10_000) / 1e6 / 0.5,
      clientCores: (200 * 110) / 1e6 / 0.5,
    });
    assert.equal(serverCores, (200 * 670 + 50_000) / 1e6 / 0.5);
  });

  it("needs all CPU times of the measure", () => {
    assert.throws(() => planOf(ROWS.slice(1), LOAD), /no CPU time of short-task/);
  });
});
