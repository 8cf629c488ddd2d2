import assert from "node:assert/strict";
import { hostname } from "node:os";
import { createClient } from "@connectrpc/connect";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { AdminService, DoctorCheckStatus } from "../../src/gen/spool/v1/admin_service_pb.ts";
import { readConfiguration } from "../../src/server/config/configuration.ts";
import { CHECK_NAMES } from "../../src/doctor/check.ts";
import { REPORT_CACHE_MS, ServerChecks } from "../../src/doctor/server-checks.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { openPostgres } from "../support/stores.ts";
import type { TestStore } from "../support/stores.ts";
import { fakeEngine } from "../rpc/fake-engine.ts";
import { openTestListener } from "../server/http/open-http-listener.ts";
import { admission, oneEngine } from "../support/one-engine.ts";

const TEST_MS = 60_000;
const TOKEN = "s3cret-token";

describe("a server's own checks", function () {
  this.timeout(TEST_MS);
  let store: TestStore;
  before(async () => {
    store = await openPostgres();
  });
  after(() => store?.[Symbol.asyncDispose]());

  const configuration = () =>
    readConfiguration({ flags: { databaseUrl: store.url!, namespace: crypto.randomUUID() }, environment: {} });

  for (const protocol of ["gRPC", "Connect with JSON", "Connect with protobuf", "gRPC-Web"]) {
    it(`are returned to callers with the token (${protocol})`, async () => {
      using checks = new ServerChecks(store, configuration());
      const runChecks = () => checks.run();
      const log = pino({ level: "silent" });
      const endpoint = await openGrpcListener({
        engines: oneEngine(fakeEngine({})),
        host: "127.0.0.1",
        port: 0,
        ...admission(TOKEN),
        runChecks,
        log,
      });
      await using http = await openTestListener({}, { token: TOKEN, runChecks });
      try {
        const url = protocol === "gRPC" ? `http://127.0.0.1:${endpoint.port}` : http.url;
        const { runChecks: ask } = createClient(AdminService, transportOf(protocol, url));
        const answer = await ask({}, { headers: { authorization: `Bearer ${TOKEN}` } });
        assert.deepEqual([answer.host, answer.pid], [hostname(), process.pid]);
        assert.deepEqual(
          answer.checks.map(({ name }) => name),
          CHECK_NAMES.filter((name) => name !== "server"),
        );
        const statusOf = new Map(answer.checks.map(({ name, status }) => [name, status]));
        assert.equal(statusOf.get("schema"), DoctorCheckStatus.OK);
        assert.equal(statusOf.get("sessions"), DoctorCheckStatus.FAIL);
        const sessions = answer.checks.find(({ name }) => name === "sessions")!;
        assert.deepEqual([sessions.section, sessions.todo === ""], ["Start", false]);
        await assert.rejects(ask({}), /bearer token/);
      } finally {
        await endpoint.close({ graceMs: 0 });
      }
    });
  }

  it("are UNIMPLEMENTED at a server without them", async () => {
    await using http = await openTestListener({}, {});
    const client = createClient(AdminService, transportOf("gRPC-Web", http.url));
    await assert.rejects(client.runChecks({}), /this server has no checks/);
  });

  it("run once for all callers until the report expires", async () => {
    let nowMs = 0;
    using checks = new ServerChecks(store, configuration(), { clock: () => nowMs });
    const first = checks.run();
    assert.equal(checks.run(), first, "while it runs");
    nowMs = 1_500; // It has taken longer than a report is kept at least.
    await first;
    nowMs = 2_999;
    assert.equal(checks.run(), first);
    nowMs = 3_000;
    const second = checks.run();
    assert.notEqual(second, first);
    await second;
    nowMs += REPORT_CACHE_MS - 1;
    assert.equal(checks.run(), second);
    nowMs += 1;
    assert.notEqual(checks.run(), second);
    await checks.run();
  });

  it("have one transaction open at a time", async () => {
    let open = 0;
    let openMax = 0;
    const db = new Proxy(store.db, {
      get(target, name) {
        if (name !== "transaction") {
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as () => unknown).bind(target) : value;
        }
        return () => ({
          async execute(run: Parameters<ReturnType<typeof target.transaction>["execute"]>[0]) {
            openMax = Math.max(openMax, ++open);
            return await target
              .transaction()
              .execute(run)
              .finally(() => open--);
          },
        });
      },
    });
    using checks = new ServerChecks({ db, url: store.url }, configuration());
    await checks.run();
    assert.equal(openMax, 1);
  });

  it("end when the server stops", async () => {
    const checks = new ServerChecks(store, configuration());
    const running = checks.run();
    checks[Symbol.dispose]();
    const { checks: made } = await running;
    assert.ok(made.some(({ status }) => status === "fail"));
  });
});

function transportOf(protocol: string, baseUrl: string): Transport {
  if (protocol === "gRPC") return createGrpcTransport({ baseUrl });
  const options = { baseUrl, httpVersion: "1.1" } as const;
  if (protocol === "gRPC-Web") return createGrpcWebTransport(options);
  return createConnectTransport({ ...options, useBinaryFormat: protocol.endsWith("protobuf"), useHttpGet: true });
}
