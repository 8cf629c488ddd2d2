import assert from "node:assert/strict";
import { context, trace } from "@opentelemetry/api";
import { AlwaysOnSampler } from "@opentelemetry/sdk-trace";
import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import { pino } from "pino";
import { AttemptFinalizer } from "../../../src/engine/attempt/attempt-finalizer.ts";
import type { FinalizedAttempt } from "../../../src/engine/attempt/attempt-finalizer.ts";
import { TaskControl } from "../../../src/engine/attempt/task-control.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { openFlushStore } from "../../../src/engine/write/flush-store.ts";
import { Journal } from "../../../src/engine/write/journal.ts";
import { UNOBSERVED } from "../../../src/engine/api/engine-observer.ts";
import { readTask } from "../../../src/store/tasks/task-queries.ts";
import { kindOf, outcomeOf, start } from "../../support/engine-tasks.ts";
import { startEngine, taskRequest } from "../../support/engines.ts";
import { eventually } from "../../support/eventually.ts";
import { createRunning } from "../../support/new-tasks.ts";
import { recordObserver } from "../../support/recorded-observer.ts";
import { beginTask, offerOf, ScriptedWorker } from "../../support/scripted-worker.ts";
import { openPostgres } from "../../support/stores.ts";
import type { TestStore } from "../../support/stores.ts";
import { traceHere } from "../../support/traced-here.ts";

const START = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;

describe("the report of an attempt", () => {
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  it("does not disturb a task, whatever its code throws", async () => {
    using traced = traceHere();
    const wicked = Object.defineProperty(new Error(), "message", {
      get: () => {
        throw new Error("no words");
      },
    });
    const thrown = new Map<string, unknown>([
      ["nothing", Object.create(null)],
      ["wicked", wicked],
    ]);
    const kinds = [...thrown].map(([name, error]) => kindOf(name, () => Promise.reject(error as Error)));
    await using engine = await startEngine(store, { kinds });
    for (const { name: kind } of kinds) {
      const { status, error } = await outcomeOf(engine, await start(engine, { kind }));
      assert.deepEqual([status, error?.reason], ["failed", "KIND_FAILED"]);
    }
    assert.deepEqual(
      traced.spans().map(({ name, attributes }) => [name, attributes["spool.task.outcome"]]),
      [...thrown.keys()].map((kind) => [`run ${kind}`, "failed"]),
    );
  });

  it("does not disturb a task if an SDK throws, and is made once", async () => {
    const fail = () => {
      throw new Error("out of order");
    };
    const rest = { forceFlush: async () => {}, shutdown: async () => {} };
    const onStart: SpanProcessor = { onStart: fail, onEnd: () => {}, ...rest };
    const onEnd: SpanProcessor = { onStart: () => {}, onEnd: fail, ...rest };
    for (const processor of [onStart, onEnd]) {
      using _ = traceHere({ processors: [processor] });
      const { observer, told } = recordObserver();
      await using engine = await startEngine(store, { observer });
      assert.equal((await outcomeOf(engine, await start(engine))).status, "succeeded");
      await eventually(() => assert.deepEqual(told, ["began", "attempt succeeded", "task succeeded"]));
      const later = await start(engine, { runAt: new Date(Date.now() + 60_000) });
      assert.equal((await engine.cancelTask(later, { reason: "enough", by: null })).outcome, "cancelled");
    }
  });

  it("includes a retry or an end of a task that never reached its worker", async () => {
    for (const isCancelled of [false, true]) {
      using traced = traceHere();
      const { observer, told } = recordObserver();
      await using engine = await startEngine(store, { observer });
      const { worker, ref, token } = await beginTask(engine, { traceparent: START });
      await worker.drop();
      if (isCancelled) await engine.cancelTask(ref.taskId, { reason: "enough", by: null });
      await using _ = await ScriptedWorker.connect(engine, { resumeToken: token, capacity: 1 });
      const decided = await eventually(() => {
        const span = traced.spans().find(({ name }) => /^(retry|end) /.test(name));
        assert.ok(span);
        return span;
      });
      const { "spool.decision.reason": because, "spool.task.outcome": outcome } = decided.attributes;
      assert.deepEqual(
        [decided.name, because, outcome, decided.links.length],
        isCancelled ? ["end remote", "unreached", "cancelled", 1] : ["retry remote", "unreached", "handed_over", 1],
      );
      assert.equal(told.filter((what) => what === "task cancelled").length, isCancelled ? 1 : 0);
    }
  });

  it("has no parent in the worker's call if a finding of the worker ends the task", async () => {
    using traced = traceHere();
    await using engine = await startEngine(store);
    const taskId = await start(engine, { kind: "checked", traceparent: START });
    const call = trace.getTracer("spool").startSpan("the worker's call");
    const kinds = [offerOf("checked", { isExclusive: true })];
    const within = trace.setSpan(context.active(), call);
    await using worker = await context.with(within, () => ScriptedWorker.connect(engine, { kinds }));
    await worker.next("check");
    worker.refuseTask(taskId, { reason: "KIND_FAILED", message: "not this" });
    const end = await eventually(() => {
      const span = traced.spans().find(({ name }) => name === "end checked");
      assert.ok(span);
      return span;
    });
    assert.deepEqual([end.attributes["spool.decision.reason"], end.parentSpanContext], ["refused", undefined]);
    call.end();
  });

  it("leaves flushes and the steps after the code outside the spans of calls and attempts", async () => {
    using _ = traceHere();
    const seen = new Map<string, Set<string | undefined>>();
    const { observer } = recordObserver();
    const spanNow = () => trace.getSpanContext(context.active())?.spanId;
    const record = (what: string) => void seen.set(what, (seen.get(what) ?? new Set()).add(spanNow()));
    observer.flushed = () => record("flush");
    observer.attemptEnded = () => record("end");
    const kind = kindOf("emits", async (task) => {
      record("code");
      await task.progress("step", 1);
      await task.flush();
    });
    await using engine = await startEngine(store, { kinds: [kind], observer });
    const call = trace.getTracer("spool").startSpan("a call");
    const within = trace.setSpan(context.active(), call);
    await eventually(async () => {
      const { task } = await context.with(within, () => engine.startTask(taskRequest({ kind: "emits" })));
      await outcomeOf(engine, task.taskId);
      assert.equal(task.status, "running"); // The attempt began in the call, and not by a claim.
    });
    await eventually(() => assert.ok(seen.has("end")));
    const code = seen.get("code")!;
    assert.ok(!code.has(undefined) && !code.has(call.spanContext().spanId));
    assert.deepEqual([seen.get("flush"), seen.get("end")], [new Set([undefined]), new Set([undefined])]);
    call.end();
  });

  it("is made by one of two servers that store the same end after the worker has moved", async () => {
    const namespace = crypto.randomUUID();
    const { db } = store;
    const fence = await createRunning(db, { namespace });
    const parts = { db, namespace, feed: new Feed(), observer: UNOBSERVED, log: pino({ level: "silent" }) };
    const finalizer = new AttemptFinalizer({ control: new TaskControl(parts), halted: new AbortController().signal });
    const task = await readTask(db, { namespace, taskId: fence.taskId });
    const journals = [1, 2].map(() => new Journal({ ...parts, store: openFlushStore(db) }));
    const writers = journals.map((journal) => journal.open(fence, { onLost: () => {} }));
    const finalized: FinalizedAttempt[] = [];
    for (const writer of writers) {
      const attempt = { task, writer, onFailure: assert.ifError };
      finalized.push(await finalizer.end(attempt, { type: "returned", result: {} }));
    }
    assert.deepEqual(
      finalized.map(({ end, isStored, task: ended }) => [end.outcome, isStored, ended?.status]),
      [
        ["succeeded", true, "succeeded"],
        ["moved", true, undefined],
      ],
    );
    await Promise.all(journals.map((journal) => journal.stop()));
  });

  it("has no spans for attempts or decisions if the start was not sampled, whatever the sampler", async () => {
    using traced = traceHere({ sampler: new AlwaysOnSampler() });
    await using engine = await startEngine(store);
    for (const flags of ["00", "01"]) {
      const traceparent = START.replace(/..$/, flags);
      await outcomeOf(engine, await start(engine, { traceparent }));
      const { worker } = await beginTask(engine, { traceparent });
      await worker.drop();
      const again = await ScriptedWorker.connect(engine, { resumeToken: worker.welcome.resumeToken });
      await again.next("assign");
      await again.drop();
    }
    await eventually(() => {
      const names = traced.spans().map(({ name, links }) => `${name},${links[0]?.context.traceFlags}`);
      assert.deepEqual(names.toSorted(), ["retry remote,1", "run echo,1", "run remote,1", "run remote,1"]);
    });
  });
});
