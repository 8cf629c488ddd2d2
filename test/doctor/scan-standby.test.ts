import assert from "node:assert/strict";
import { DoctorContext } from "../../src/doctor/doctor-context.ts";
import { scanStandby } from "../../src/doctor/scan-standby.ts";
import { openDatabase } from "../../src/store/database.ts";
import type { Store } from "../../src/store/database.ts";
import { ask, startPair } from "../fault/support/failing-over.ts";
import type { PostgresPair } from "../fault/support/failing-over.ts";
import { FOREVER } from "../support/engines.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";

describe("the doctor's check of a standby", function () {
  this.timeout(60_000);
  let pair: PostgresPair;
  let store: Store;
  before(async () => {
    pair = await startPair({ isSynchronous: false });
    store = await openDatabase({ url: pair.primary.url, connectionsMax: 1 });
  });
  after(async () => {
    await store?.close();
    await pair?.[Symbol.asyncDispose]();
  });

  function scan(standbyUrl: string | null): ReturnType<typeof scanStandby> {
    const settings = { namespace: "default", leaseMs: 1, cancelGraceMs: 1, notify: true, ...FOREVER, standbyUrl };
    const { signal } = new AbortController();
    return scanStandby(new DoctorContext({ settings, db: store.db, url: store.url, signal }));
  }

  it("passes for a streaming standby, and if there is none", async () => {
    const finding = await scan(pair.standby.url);
    assert.match(finding.found, /^127\.0\.0\.1:\d+\/postgres answers, and is \d+ bytes? behind$/);
    assert.deepEqual([finding.status, (await scan(null)).status], ["ok", "ok"]);
  });

  it("warns if the URL leads to no server, or to a primary", async () => {
    await using other = await createDatabase();
    for (const [url, reason] of [
      ["postgres://me:secret@127.0.0.1:1/none", /does not answer as a standby: .*ECONNREFUSED/],
      [other.url, /does not answer as a standby: .*the server is not a standby/],
    ] as const) {
      const finding = await scan(url);
      assert.equal(finding.status, "warn");
      assert.match(finding.found, reason);
      assert.doesNotMatch(finding.found, /secret/);
    }
  });

  it("fails for a standby of another database or schema", async () => {
    await ask(pair.primary.url, "create schema other");
    const url = `${pair.standby.url}?schema=other`;
    await eventually(async () => assert.match((await scan(url)).found, /is no standby of this database and schema$/));
    assert.equal((await scan(url)).status, "fail");
  });
});
