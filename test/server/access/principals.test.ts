import assert from "node:assert/strict";
import { connect } from "../../../src/client/client.ts";
import type { SpoolClient } from "../../../src/client/client.ts";
import { connect as connectOverWeb } from "../../../src/client/web.ts";
import { openGuarded } from "../../support/guarded-server.ts";
import type { GuardedServer } from "../../support/guarded-server.ts";

const TOKEN = "the-token-of-the-settings";

describe("tasks of authenticated callers", () => {
  let server: GuardedServer;
  before(async () => {
    server = await openGuarded({ token: TOKEN });
  });
  after(() => server?.[Symbol.asyncDispose]());

  const CLIENTS: Record<string, () => SpoolClient> = {
    gRPC: () => connect({ address: server.address, token: TOKEN }),
    Connect: () => connectOverWeb({ url: server.url, token: TOKEN }),
  };
  for (const [name, open] of Object.entries(CLIENTS)) {
    describe(`over ${name}`, () => {
      let client: SpoolClient;
      before(() => void (client = open()));
      after(() => client?.close());

      it("store the name of the caller that started them, by StartTask and by RunTask", async () => {
        const { task: started } = await client.start({ kind: "echo" });
        const { task: run, events } = await client.run({ kind: "echo" });
        await Array.fromAsync(events);
        const stored = await Promise.all([started, run].map(({ taskId }) => client.get({ taskId })));
        assert.deepEqual([started, run, ...stored].map(fieldsOf), Array(4).fill(["root", null]));
      });

      it("give a repeated start the task with the name of its first caller", async () => {
        const request = { kind: "echo", requestId: crypto.randomUUID() };
        const { task } = await client.start(request);
        const repeated = await client.start(request);
        assert.deepEqual([repeated.task.taskId, repeated.alreadyStarted], [task.taskId, true]);
        assert.equal(repeated.task.startedBy, "root");
      });

      it("store the name of the caller that cancelled a waiting task", async () => {
        const { taskId } = (await client.start({ kind: "echo", runAt: new Date(Date.now() + 3_600_000) })).task;
        const { task } = await client.cancel({ taskId, reason: "enough" });
        assert.deepEqual(fieldsOf(task), ["root", "root"]);
        assert.deepEqual(fieldsOf(await client.get({ taskId })), ["root", "root"]);
        const { events } = await client.events({ taskId });
        const { seq: _seq, time: _time, ...final } = events.at(-1)!;
        const error = { reason: "CANCELLED", message: "enough" };
        assert.deepEqual(final, { type: "final", status: "cancelled", error });
      });

      it("record the name of the first caller that cancelled a running task, on its row and on its tape", async () => {
        const actor = server.stage.actor();
        const { taskId } = (await client.start({ kind: "stage", params: actor.params })).task;
        await actor.enter();
        const { task } = await client.cancel({ taskId, reason: "enough" });
        await client.cancel({ taskId, reason: "again" });
        assert.deepEqual(fieldsOf(task), ["root", "root"]);
        actor.leave();
        await client.waitFinal({ taskId, timeoutMs: 30_000 });
        const { events } = await client.events({ taskId });
        const asked = events.filter((event) => event.type === "cancel_requested");
        assert.deepEqual(
          asked.map(({ reason, cancelledBy }) => [reason, cancelledBy]),
          [["enough", "root"]],
        );
        assert.deepEqual(fieldsOf(await client.get({ taskId })), ["root", "root"]);
      });
    });
  }
});

describe("tasks of a server without authentication", () => {
  it("have no names, and their tapes have none either", async () => {
    await using server = await openGuarded({ token: null });
    using client = connect({ address: server.address });
    const actor = server.stage.actor();
    const { taskId } = (await client.start({ kind: "stage", params: actor.params })).task;
    await actor.enter();
    const { task } = await client.cancel({ taskId });
    assert.deepEqual(fieldsOf(task), [null, null]);
    actor.leave();
    await client.waitFinal({ taskId, timeoutMs: 30_000 });
    const { events } = await client.events({ taskId });
    const asked = events.find((event) => event.type === "cancel_requested")!;
    assert.equal(Object.hasOwn(asked, "cancelledBy"), false);
  });
});

function fieldsOf({ startedBy, cancelledBy }: { startedBy: string | null; cancelledBy: string | null }) {
  return [startedBy, cancelledBy];
}
