import assert from "node:assert/strict";
import type { JsonObject } from "../../src/domain/json.ts";
import { worker } from "../../src/client/client.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { openLog } from "../../src/server/log/logging.ts";
import { kindOf, outcomeOf, start } from "../support/engine-tasks.ts";
import { startEngine } from "../support/engines.ts";
import type { TestEngine } from "../support/engines.ts";
import { ODD_RESULTS } from "../support/odd-results.ts";
import type { OddResult } from "../support/odd-results.ts";
import { ODD_THROWS } from "../support/odd-throws.ts";
import type { OddThrow } from "../support/odd-throws.ts";
import { openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";
import { oneEngine } from "../support/one-engine.ts";

/** Throws, rejects or returns the value that its params name. */
const odd = kindOf("odd", ({ params: { way, name } }) => {
  if (way === "return") return ODD_RESULTS.find((result) => result.name === name)!.make() as Promise<JsonObject>;
  const thrown = ODD_THROWS.find((odd) => odd.name === name)!.make();
  if (way === "reject") return Promise.resolve().then(() => Promise.reject(thrown));
  throw thrown;
});

// oxlint-disable-next-line unicorn/no-thenable -- this thenable never settles
const never = kindOf("never", () => ({ then: () => {} }) as unknown as Promise<JsonObject>);

for (const [place, open] of [
  ["in a server", openServer],
  ["in a worker of @spooltape/client", openWorker],
] as const) {
  describe(`an attempt ${place}`, () => {
    let store: TestStore;
    let opened: Awaited<ReturnType<typeof open>>;
    const lines: string[] = [];
    before(async () => {
      store = await openPostgres();
      opened = await open(store, lines);
    });
    after(async () => {
      await opened?.[Symbol.asyncDispose]();
      await store?.[Symbol.asyncDispose]();
    });

    for (const way of ["throw", "reject"]) {
      it(`fails with a named reason if its code ${way === "throw" ? "throws" : "rejects with"} an odd value`, async () => {
        const { engine } = opened;
        const taskIds = await Promise.all(ODD_THROWS.map(({ name }) => startOdd(engine, { way, name })));
        for (const [index, odd] of ODD_THROWS.entries()) await endsAs(engine, taskIds[index]!, odd);
      });
    }

    it(`succeeds with the storable part of an odd result, or fails with a named reason: ${ODD_RESULTS.length} results`, async () => {
      const { engine } = opened;
      const names = ODD_RESULTS.map(({ name }) => name);
      const taskIds = await Promise.all(names.map((name) => startOdd(engine, { way: "return", name })));
      for (const [index, odd] of ODD_RESULTS.entries()) await returnsAs(engine, taskIds[index]!, odd);
    });

    it("ends by its timeout if its code returns a thenable that never settles", async () => {
      const { engine } = opened;
      const { status, error } = await outcomeOf(engine, await start(engine, { kind: "never", timeoutMs: 20 }));
      assert.deepEqual([status, error?.reason], ["failed", "DEADLINE_EXCEEDED"]);
    });

    it("logs only JSON lines", () => {
      for (const line of lines) assert.ok((JSON.parse(line) as { msg: string }).msg);
    });
  });
}

/** Starts a task with two attempts: the end of the first must not prevent the second. */
function startOdd(engine: TestEngine, params: JsonObject): Promise<string> {
  return start(engine, { kind: "odd", params, maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } });
}

async function endsAs(engine: TestEngine, taskId: string, { name, reason = "KIND_FAILED", message = /^/ }: OddThrow) {
  const { status, error, tape } = await outcomeOf(engine, taskId);
  assert.deepEqual([name, status, error?.reason], [name, "failed", reason]);
  assert.match(error!.message, message, name);
  assert.equal(tape.length, 4, `${name}: expected two attempts`);
}

async function returnsAs(engine: TestEngine, taskId: string, { name, stored, refused }: OddResult) {
  const { status, result, error } = await outcomeOf(engine, taskId);
  if (stored !== undefined) {
    assert.deepEqual([name, status, result, error], [name, "succeeded", stored, undefined]);
  } else {
    assert.deepEqual([name, status, error?.reason], [name, "failed", "KIND_FAILED"]);
    assert.match(error!.message, refused!, name);
  }
}

function logTo(lines: string[]) {
  return openLog({ level: "trace", namespace: "test", destination: { write: (line) => void lines.push(line) } });
}

async function openServer(store: TestStore, lines: string[]) {
  const log = logTo(lines);
  const engine = await startEngine(store, { kinds: [odd, never], log, cancelGraceMs: 20 });
  return { engine, [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose]() };
}

async function openWorker(store: TestStore, lines: string[]) {
  await using opened = new AsyncDisposableStack();
  const log = logTo(lines);
  const engine = opened.use(await startEngine(store, { log, cancelGraceMs: 20 }));
  const endpoint = await openGrpcListener({ engines: oneEngine(engine), host: "127.0.0.1", port: 0, log });
  opened.defer(() => endpoint.close({ graceMs: 1_000 }));
  const options = { kinds: [odd, never], concurrency: 64, drainMs: 0, graceMs: 0, signals: false };
  opened.use(worker({ address: `127.0.0.1:${endpoint.port}`, ...options }));
  const all = opened.move();
  return { engine, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
