import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { probeWakeups } from "../../../src/engine/cluster/wakeup-probe.ts";
import { wakeupChannel } from "../../../src/engine/cluster/wakeups.ts";
import { notify, openListener } from "../../../src/store/connection/notifications.ts";
import { start, wholeTape } from "../../support/engine-tasks.ts";
import { startEngine } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";

const LATE_MS = 5_000;

describe("a wakeup probe", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("arrives at a listener of the same database", async () => {
    const service = { db: store.db, url: store.url!, namespace: randomUUID() };
    const tookMs = await probeWakeups(service, AbortSignal.timeout(LATE_MS));
    assert.ok(tookMs !== null && tookMs > 0 && tookMs < LATE_MS);
  });

  it("does not arrive at a listener of another database", async () => {
    await using other = await openPostgres();
    const service = { db: store.db, url: other.url!, namespace: randomUUID() };
    assert.equal(await probeWakeups(service, AbortSignal.timeout(200)), null);
  });

  it("is ignored by a server, which would take any other payload for a peer's", async () => {
    await using engine = await startEngine(store);
    const { namespace } = engine;
    const channel = wakeupChannel(namespace);
    const heard: string[] = [];
    const listener = await openListener(store.url!, (_channel, payload) => heard.push(payload));
    await listener.listen(channel);
    const send = async (payload: string) => {
      await notify(store.db, channel, payload);
      await eventually(() => assert.ok(heard.includes(payload)));
    };
    // Payloads that announce tasks, not only the server.
    const wakeups = () => heard.filter((payload) => payload.includes(":"));
    const runTasks = async () => {
      for (let task = 0; task < 5; task++) await wholeTape(engine, await start(engine));
    };
    try {
      await probeWakeups({ db: store.db, url: store.url!, namespace }, AbortSignal.timeout(LATE_MS));
      await runTasks();
      await send("probe of no server");
      assert.deepEqual(wakeups(), []);
      // At the next renewal, the server forgets a peer that has no session.
      await eventually(async () => {
        await send(randomUUID());
        await runTasks();
        assert.ok(wakeups().length > 0);
      });
    } finally {
      await listener.close();
    }
  });
});
