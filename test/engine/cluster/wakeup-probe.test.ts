import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { probeWakeups } from "../../../src/engine/cluster/wakeup-probe.ts";
import { wakeupChannel } from "../../../src/engine/cluster/wakeups.ts";
import { listen, notify } from "../../../src/store/connection/notifications.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const LATE_MS = 5_000;

describe("a probe of the wakeups", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("arrives at who listens", async () => {
    const service = { db: store.db, url: store.url!, namespace: randomUUID() };
    const tookMs = await probeWakeups(service, AbortSignal.timeout(LATE_MS));
    assert.ok(tookMs !== null && tookMs > 0 && tookMs < LATE_MS);
  });

  it("does not arrive where who listens is elsewhere", async () => {
    await using other = await openPostgres();
    const service = { db: store.db, url: other.url!, namespace: randomUUID() };
    assert.equal(await probeWakeups(service, AbortSignal.timeout(200)), null);
  });

  it("is left unheard by a server, which would take another payload for a peer's", async () => {
    await using engine = await startEngine(store);
    const { namespace } = engine;
    const channel = wakeupChannel(namespace);
    const heard: string[] = [];
    const listener = await listen(store.url!, channel, (payload) => heard.push(payload));
    const say = async (payload: string) => {
      await notify(store.db, channel, payload);
      await eventually(() => assert.ok(heard.includes(payload)));
    };
    // What a server tells of its tasks, and not of itself.
    const wakeups = () => heard.filter((payload) => payload.includes(":"));
    const runTasks = async () => {
      for (let task = 0; task < 5; task++) await wholeTape(engine, await start(engine));
    };
    try {
      await probeWakeups({ db: store.db, url: store.url!, namespace }, AbortSignal.timeout(LATE_MS));
      await runTasks();
      await say("probe of nobody");
      assert.deepEqual(wakeups(), []);
      // It forgets a peer that it does not find at the next renewal.
      await eventually(async () => {
        await say(randomUUID());
        await runTasks();
        assert.ok(wakeups().length > 0);
      });
    } finally {
      await listener.close();
    }
  });
});
