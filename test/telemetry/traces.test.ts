import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import type { ReceivedSpan } from "../support/otlp-receiver.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { call, documentedAttributes, newCaller, SERVICE, single, TracedService } from "./traced-service.ts";
import type { Caller } from "./traced-service.ts";

const PATIENCE_MS = 60_000;
const CALLER = join(import.meta.dirname, "..", "support", "traced-caller.ts");
const WORKER = join(import.meta.dirname, "..", "support", "traced-worker.ts");
const UNSET = 0;
const OK = 1;
const ERROR = 2;
const KIND = { internal: 1, server: 2, consumer: 5 };

describe("the traces of a service", () => {
  let service: TracedService;
  let server: ServerProcess;
  before(async () => {
    service = await TracedService.start();
    server = await service.startReplica("one");
  });
  after(() => service?.[Symbol.asyncDispose]());

  /** Starts a task, for a caller. */
  async function start(kind: string, request: object = {}, { caller = newCaller(), at = server } = {}) {
    const wanted = { kind, ...request };
    const { task } = await call<{ task: { taskId: string } }>(at, "StartTask", wanted, caller.headers);
    return { taskId: task.taskId, caller };
  }

  const result = (taskId: string) =>
    call<{ status: string; result?: { traceparent: string } }>(server, "GetResult", { taskId, wait: "30s" });

  /** Waits until so many events are on the tape. */
  const untilEvents = (taskId: string, count: number, at = server) =>
    call(at, "GetEvents", { taskId, fromSeq: `${count}`, wait: "30s" });

  const cancel = (taskId: string, { headers }: Caller = newCaller(), at = server) =>
    call(at, "CancelTask", { taskId, reason: "enough" }, headers);

  /** A root, with one link: to the call that started the task. */
  function assertCausedBy(span: ReceivedSpan, started: ReceivedSpan): void {
    assert.equal(span.parentSpanId, undefined);
    assert.notEqual(span.traceId, started.traceId);
    assert.deepEqual(span.links, [{ traceId: started.traceId, spanId: started.spanId }]);
  }

  it("have a span per call, a child of its caller's span, and a linked span per attempt, with status OK on success", async () => {
    const { taskId, caller } = await start("spans");
    const { result: returned } = await result(taskId);
    const started = await service.spanOfCall(caller);
    assert.deepEqual(
      [started.name, started.kind, started.parentSpanId, started.status.code, started.links],
      [`${SERVICE}/StartTask`, KIND.server, caller.spanId, UNSET, []],
    );
    assert.deepEqual(started.attributes, {
      "rpc.system.name": "connectrpc",
      "rpc.method": `${SERVICE}/StartTask`,
      "rpc.status_code": "OK",
      "spool.door": "http",
    });
    const { "service.name": name, "service.instance.id": instance, "spool.namespace": namespace } = started.resource;
    assert.deepEqual([name, instance, namespace], ["spool", "one", "default"]);

    const attempt = single(await service.spansOf(taskId, 1));
    assertCausedBy(attempt, started);
    assert.deepEqual(
      [attempt.name, attempt.kind, attempt.status, attempt.events],
      ["run spans", KIND.consumer, { code: OK }, []],
    );
    assert.deepEqual(attempt.attributes, {
      "spool.task.id": taskId,
      "spool.task.kind": "spans",
      "spool.task.attempt": 1,
      "spool.namespace": "default",
      "spool.task.outcome": "succeeded",
      "messaging.system.name": "spool",
      "messaging.operation.type": "process",
      "messaging.operation.name": "run",
      "messaging.destination.name": "spans",
      "messaging.message.id": taskId,
    });
    const own = single(service.receiver.spans.filter((span) => span.parentSpanId === attempt.spanId));
    assert.deepEqual([own.name, own.traceId], ["a step", attempt.traceId]);
    assert.equal(returned?.traceparent, `00-${attempt.traceId}-${attempt.spanId}-01`);
  });

  it("mark a failed attempt as an error, with its exception", async () => {
    const { taskId, caller } = await start("fails");
    await result(taskId);
    const attempt = single(await service.spansOf(taskId, 1));
    assertCausedBy(attempt, await service.spanOfCall(caller));
    assert.deepEqual(attempt.status, { code: ERROR, message: "it is too hot" });
    assert.equal(attempt.attributes["spool.task.outcome"], "failed");
    assert.equal(attempt.attributes["error.type"], "TOO_HOT");
    const exception = single(attempt.events);
    assert.equal(exception.name, "exception");
    assert.equal(exception.attributes["exception.message"], "it is too hot");
    assert.match(String(exception.attributes["exception.stacktrace"]), /traced-kinds/);
  });

  it("mark a retried attempt as an error and link each attempt to the same start", async () => {
    const { taskId, caller } = await start("fails", { maxAttempts: 2, retryPolicy: { initialBackoff: "0.01s" } });
    await result(taskId);
    const attempts = await service.spansOf(taskId, 2);
    const started = await service.spanOfCall(caller);
    for (const attempt of attempts) assertCausedBy(attempt, started);
    assert.deepEqual(
      attempts.map(({ attributes, status }) => [
        attributes["spool.task.attempt"],
        attributes["spool.task.outcome"],
        status.code,
      ]),
      [
        [1, "retrying", ERROR],
        [2, "failed", ERROR],
      ],
    );
  });

  it("have the end of a task cancelled before its start as a child of the cancel, without an error", async () => {
    const runAt = new Date(Date.now() + 3_600_000).toISOString();
    const { taskId, caller } = await start("waits", { runAt });
    const canceller = newCaller();
    await cancel(taskId, canceller);
    const end = single(await service.spansOf(taskId, 1));
    const cancelled = single(
      service.receiver.spans.filter(
        ({ traceId, name }) => traceId === canceller.traceId && name === `${SERVICE}/CancelTask`,
      ),
    );
    const started = await service.spanOfCall(caller);
    assert.deepEqual([end.name, end.kind, end.status.code], ["end waits", KIND.internal, UNSET]);
    assert.deepEqual([end.traceId, end.parentSpanId], [cancelled.traceId, cancelled.spanId]);
    assert.deepEqual(end.links, [{ traceId: started.traceId, spanId: started.spanId }]);
    const { "spool.cancelled": isCancelled, "spool.task.attempt": attempt, ...rest } = end.attributes;
    assert.deepEqual([isCancelled, attempt, rest["spool.decision.reason"]], [true, 0, "cancel"]);
    assert.equal(cancelled.status.code, UNSET);
  });

  it("mark a cancelled running attempt as cancelled, without an error", async () => {
    const { taskId, caller } = await start("waits");
    await untilEvents(taskId, 1);
    await cancel(taskId);
    assert.equal((await result(taskId)).status, "TASK_STATUS_CANCELLED");
    const attempt = single(await service.spansOf(taskId, 1));
    assertCausedBy(attempt, await service.spanOfCall(caller));
    assert.deepEqual([attempt.name, attempt.status, attempt.events], ["run waits", { code: UNSET }, []]);
    const { "spool.cancelled": isCancelled, "spool.task.outcome": outcome, "error.type": error } = attempt.attributes;
    assert.deepEqual([isCancelled, outcome, error], [true, "cancelled", undefined]);
  });

  it("contain an attempt that was lost with its server, and the next attempt at another server", async () => {
    await using replicas = await TracedService.start();
    const victim = await replicas.startReplica("victim");
    const retry = { maxAttempts: 2, retryPolicy: { initialBackoff: "0.01s" } };
    const { taskId, caller } = await start("waits", retry, { at: victim });
    await untilEvents(taskId, 1, victim);
    const started = await replicas.spanOfCall(caller);
    const heir = await replicas.startReplica("heir");
    await victim.end("SIGKILL");
    await untilEvents(taskId, 3, heir); // started, retrying, started
    const retried = single(await replicas.spansOf(taskId, 1));
    assertCausedBy(retried, started);
    assert.deepEqual([retried.name, retried.kind, retried.status.code], ["retry waits", KIND.internal, ERROR]);
    const keys = ["spool.task.attempt", "spool.task.outcome", "spool.decision.reason", "error.type"];
    assert.deepEqual(
      keys.map((key) => retried.attributes[key]),
      [1, "retrying", "lost", "WORKER_LOST"],
    );
    await cancel(taskId, newCaller(), heir);
    const attempt = (await replicas.spansOf(taskId, 2)).find(({ name }) => name === "run waits");
    assert.ok(attempt);
    assertCausedBy(attempt, started);
    const { "spool.task.attempt": number, "spool.task.outcome": outcome } = attempt.attributes;
    assert.deepEqual([number, outcome, attempt.resource["service.instance.id"]], [2, "cancelled", "heir"]);
  });

  it("continue in the process of a worker", async () => {
    const environment = { ...process.env, ...service.receiver.environment, OTEL_SERVICE_NAME: "a worker" };
    const worker = fork(WORKER, [server.address], { env: environment });
    try {
      const { taskId, caller } = await start("remote");
      const { result: returned } = await result(taskId);
      const { taskId: broken } = await start("breaks");
      await result(broken);
      worker.kill("SIGTERM"); // What it has yet to send it sends then.
      await once(worker, "exit");
      const found = await service.spansOf(taskId, 2);
      const attempt = single(found.filter(({ resource }) => resource["service.name"] === "spool"));
      const inWorker = single(found.filter(({ resource }) => resource["service.name"] === "a worker"));
      assertCausedBy(attempt, await service.spanOfCall(caller));
      assert.deepEqual(
        [attempt.name, attempt.status.code, inWorker.name, inWorker.status.code],
        ["run remote", OK, "run remote", OK],
      );
      assert.deepEqual([inWorker.traceId, inWorker.parentSpanId], [attempt.traceId, attempt.spanId]);
      assert.deepEqual(inWorker.links, attempt.links);
      const own = single(service.receiver.spans.filter((span) => span.parentSpanId === inWorker.spanId));
      assert.equal(own.name, "a step");
      assert.equal(returned?.traceparent, `00-${inWorker.traceId}-${inWorker.spanId}-01`);

      const failures = await service.spansOf(broken, 2);
      for (const { status, events } of failures) {
        assert.equal(status.code, ERROR);
        assert.equal(single(events).attributes["exception.message"], "out of range");
      }
    } finally {
      worker.kill("SIGKILL");
    }
  });

  it("continue the trace of a caller, with the client over gRPC", async () => {
    const environment = { ...process.env, ...service.receiver.environment, OTEL_SERVICE_NAME: "a caller" };
    const caller = fork(CALLER, [server.address], { env: environment });
    const [{ taskId }] = (await once(caller, "message")) as [{ taskId: string }];
    const attempt = single(await service.spansOf(taskId, 1));
    const ordered = single(service.receiver.spans.filter(({ name }) => name === "order a cake"));
    const inTrace = await eventually(() => {
      const found = service.receiver.spans.filter((span) => span.parentSpanId === ordered.spanId);
      assert.ok(found.length >= 2); // The start, and the follower that waits for final.
      return found;
    });
    const started = single(inTrace.filter(({ name }) => name === `${SERVICE}/StartTask`));
    assertCausedBy(attempt, started);
    assert.deepEqual([started.traceId, started.kind], [ordered.traceId, KIND.server]);
    assert.deepEqual([started.attributes["rpc.system.name"], started.attributes["spool.door"]], ["grpc", "grpc"]);
  });

  it("do not mark a follower that disconnects or a refused call as a server error", async () => {
    const { taskId } = await start("waits");
    const follower = newCaller();
    const gone = new AbortController();
    const stream = await fetch(`${server.url}/v1/tasks/${taskId}/events`, {
      headers: follower.headers,
      signal: gone.signal,
    });
    await stream.body!.getReader().read();
    gone.abort();
    const followed = await service.spanOfCall(follower);
    assert.deepEqual([followed.name, followed.status.code], [`${SERVICE}/StreamEvents`, UNSET]);
    assert.deepEqual([followed.attributes["spool.door"], followed.attributes["rpc.status_code"]], ["sse", "CANCELED"]);
    await cancel(taskId);

    const asking = newCaller();
    const refused = await fetch(`${server.url}/${SERVICE}/GetTask`, {
      method: "POST",
      headers: { "content-type": "application/json", ...asking.headers },
      body: JSON.stringify({ taskId: crypto.randomUUID() }),
    });
    assert.equal(refused.status, 404);
    const span = await service.spanOfCall(asking);
    assert.deepEqual([span.status.code, span.attributes["error.type"]], [UNSET, "NOT_FOUND"]);
  });

  it("use the caller's sampling decision, also for attempts", async () => {
    const unsampled = newCaller({ isSampled: false });
    const { taskId } = await start("echo", { params: { count: 1 } }, { caller: unsampled });
    await result(taskId);
    const { taskId: sampled, caller } = await start("echo", { params: { count: 1 } });
    await result(sampled);
    await service.spansOf(sampled, 1);
    await service.spanOfCall(caller);
    // Spans leave in the order in which they end: those of the first would have come by now.
    assert.deepEqual(
      service.receiver.spans.filter(
        (span) => span.traceId === unsampled.traceId || span.attributes["spool.task.id"] === taskId,
      ),
      [],
    );
  });

  it("have the same number of spans for any number of events", async () => {
    const { taskId } = await start("emits", { params: { events: 20_000 } });
    await result(taskId);
    const attempt = single(await service.spansOf(taskId, 1));
    assert.deepEqual(attempt.events, []);
    assert.deepEqual(
      service.receiver.spans.filter((span) => span.traceId === attempt.traceId),
      [attempt],
    );
  });

  it("have exactly the documented attributes", async () => {
    const seen = (isOf: (name: string) => boolean) => [
      ...new Set(
        service.receiver.spans.filter(({ name }) => isOf(name)).flatMap((span) => Object.keys(span.attributes)),
      ),
    ];
    const ofTasks = seen((name) => /^(run|retry|end) /.test(name));
    assert.deepEqual([...ofTasks, "spool.attempt.resumed"].sort(), await documentedAttributes("Of `run`"));
    assert.deepEqual(seen((name) => name.startsWith("spool.v1.")).sort(), await documentedAttributes("Of calls"));
    assert.deepEqual([...service.receiver.requests], ["/v1/traces application/json"]);
  });
}).timeout(PATIENCE_MS);
