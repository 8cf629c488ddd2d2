import assert from "node:assert/strict";
import { connect } from "../../src/client/client.ts";
import { startPair } from "../fault/support/failing-over.ts";
import { eventually } from "../support/eventually.ts";
import { startServerProcess } from "../support/server-process.ts";

describe("a server with SPOOL_STANDBY_URL", function () {
  this.timeout(60_000);

  it("reads lists and ended tapes from the standby, and reports that", async () => {
    await using pair = await startPair({ isSynchronous: false });
    const environment = { SPOOL_DATABASE_URL: pair.primary.url, SPOOL_STANDBY_URL: pair.standby.url };
    await using server = await startServerProcess({ environment });
    using spool = connect({ address: server.address });
    const { task } = await spool.start({ kind: "echo", params: { count: 2_000 } });
    await spool.result({ taskId: task.taskId, waitMs: 30_000 });
    const served = async () => {
      for await (const _ of spool.list({})) continue;
      for await (const _ of spool.follow({ taskId: task.taskId })) continue;
      const metrics = await (await fetch(`${server.url}/metrics`)).text();
      const count = /^spool_standby_reads_total\{outcome="standby"\} (\d+)/m.exec(metrics)?.[1] ?? "0";
      assert.ok(Number(count) >= 3, metrics);
      assert.match(metrics, /^spool_standby_lag_bytes \d+/m);
    };
    await eventually(served, { timeoutMs: 30_000, describe: "the standby serves reads" });
  });
});
