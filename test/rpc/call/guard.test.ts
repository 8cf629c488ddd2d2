import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import type { DescService } from "@bufbuild/protobuf";
import { NamespaceNotFound, SpoolError } from "../../../src/domain/errors.ts";
import { ALL_GRANTS, SCOPES } from "../../../src/domain/principal.ts";
import type { Principal } from "../../../src/domain/principal.ts";
import type { TaskEngine } from "../../../src/engine/api/task-engine.ts";
import { Health } from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { AdminService } from "../../../src/gen/spool/v1/admin_service_pb.ts";
import { GetTaskRequestSchema, TaskService } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { WorkerService } from "../../../src/gen/spool/v1/worker_service_pb.ts";
import { guardService, requiredAccess } from "../../../src/rpc/call/guard.ts";
import { lastingIdentity } from "../../../src/rpc/call/identity.ts";
import type { CallContext } from "../../../src/rpc/call/service.ts";
import { taskService } from "../../../src/rpc/services/task-service.ts";
import { aTask, fakeEngine, TASK_ID } from "../fake-engine.ts";
import { NO_LIMITS } from "../../../src/domain/tenant-limits.ts";
import { TenantLimits } from "../../../src/rpc/call/tenant-limits.ts";

const SERVICES: readonly DescService[] = [TaskService, WorkerService, AdminService];
const NEVER = new AbortController().signal;

describe("the option access", () => {
  it("is set on every method, with known scopes", () => {
    for (const method of SERVICES.flatMap(({ methods }) => methods)) {
      const { scopes } = requiredAccess(method);
      assert.ok(scopes.length > 0 && scopes.every((scope) => SCOPES.includes(scope)), method.name);
    }
  });

  it("marks the calls by the id of a task, and no call that gives a longer right to a task", () => {
    const marked = SERVICES.flatMap(({ methods }) => methods).filter((method) => requiredAccess(method).isForOneTask);
    const expected = ["GetTask", "CancelTask", "DeleteTask", "GetEvents", "StreamEvents", "GetResult"];
    assert.deepEqual(
      marked.map(({ name }) => name),
      expected,
    );
  });

  it("is required: a service without it cannot be served", () => {
    assert.throws(() => guardService(Health, () => ({}) as never, guardOf({})), /Health.Check has no option/);
  });
});

function guardOf(byNamespace: Record<string, TaskEngine>) {
  const engines = {
    defaultNamespace: "default",
    of(namespace: string) {
      const engine = byNamespace[namespace];
      if (engine === undefined) throw new NamespaceNotFound(namespace);
      return engine;
    },
    limitsOf: () => NO_LIMITS,
  };
  return { engines, limits: new TenantLimits() };
}

describe("a guarded service", () => {
  const engineOf = (kind: string) => fakeEngine({ getTask: async (taskId) => aTask({ taskId, kind }) });
  const named = { default: engineOf("of default"), other: engineOf("of other") };

  function getTask(some: Partial<Principal>, headers: Record<string, string> = {}) {
    let made = 0;
    const handlersOf = (engine: TaskEngine) => {
      made++;
      return taskService(engine);
    };
    const guarded = guardService(TaskService, handlersOf, guardOf(named));
    const identity = lastingIdentity({ ...ALL_GRANTS, name: "the caller", ...some });
    const context: CallContext = { signal: NEVER, requestHeader: new Headers(headers), identity };
    const request = create(GetTaskRequestSchema, { taskId: TASK_ID });
    const call = async (by = context) => (await guarded.getTask(request, by)).task!.kind;
    return { call, context, madeOf: () => made };
  }

  async function reasonOf(call: Promise<unknown>): Promise<string> {
    const error = await call.then(
      () => assert.fail("the call did not fail"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof SpoolError, String(error));
    return error.reason;
  }

  it("refuses a call without an identity, as a rejection", async () => {
    const { call, context } = getTask({});
    assert.equal(await reasonOf(call({ ...context, identity: undefined })), "UNAUTHENTICATED");
  });

  it("passes the call to the engine of its namespace", async () => {
    assert.equal(await getTask({}).call(), "of default");
    assert.equal(await getTask({}, { "spool-namespace": "other" }).call(), "of other");
    assert.equal(await getTask({ namespaces: ["other"] }).call(), "of other");
    assert.equal(await getTask({}, { "spool-namespace": "" }).call(), "of default");
  });

  it("checks the right to a namespace before it looks for the namespace", async () => {
    const missing = { "spool-namespace": "missing" };
    assert.equal(await reasonOf(getTask({}, missing).call()), "NAMESPACE_NOT_FOUND");
    assert.equal(await reasonOf(getTask({ namespaces: ["other"] }, missing).call()), "PERMISSION_DENIED");
  });

  it("reads the namespace from a binding that reads headers one by one", async () => {
    const { call, context } = getTask({});
    const header = (name: string) => (name === "spool-namespace" ? "other" : undefined);
    assert.equal(await call({ ...context, header }), "of other");
  });

  it("restricts the engine of a caller that sees only some tasks", async () => {
    assert.equal(await getTask({ kinds: ["of*"] }).call(), "of default");
    assert.equal(await reasonOf(getTask({ kinds: ["else"] }).call()), "TASK_NOT_FOUND");
  });

  it("makes the handlers of an engine once, also of a restricted one", async () => {
    for (const kinds of [["*"], ["of*"]]) {
      const { call, madeOf } = getTask({ kinds });
      await call();
      await call();
      assert.equal(madeOf(), 1);
    }
  });

  it("throws the error of a stream when the stream is read", async () => {
    const guarded = guardService(TaskService, (engine) => taskService(engine), guardOf(named));
    const context: CallContext = { signal: NEVER, requestHeader: new Headers() };
    assert.throws(() => guarded.streamEvents({} as never, context), SpoolError);
  });
});
