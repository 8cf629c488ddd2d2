import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposable } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { connect } from "../../src/client/client.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase, startServer } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { scrape } from "../support/prometheus-text.ts";
import { startServerProcess } from "../support/server-process.ts";

const SERVER_MS = 60_000;

/** What is sent by OTLP, as JSON. */
interface Export {
  resourceMetrics: {
    resource: { attributes: { key: string; value: { stringValue: string } }[] };
    scopeMetrics: { metrics: { name: string; gauge?: object; sum?: object; histogram?: object }[] }[];
  }[];
}

describe("the metrics of spool serve", () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  it("have the same number of series after a hundred thousand events @slow", async () => {
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    using client = connect({ address: server.address });
    const run = async (count: number) => {
      const { task } = await client.start({ kind: "echo", params: { count } });
      await client.waitFinal({ taskId: task.taskId, timeoutMs: SERVER_MS });
      return eventually(async () => {
        const text = await scrape(server.url);
        assert.equal(text.sum("spool_tasks_running"), 0);
        return text;
      });
    };
    await run(1);
    const before = await run(1);
    const after = await run(100_000);
    assert.ok(after.sum("spool_events_total")! - before.sum("spool_events_total")! > 100_000);
    const series = ({ samples }: typeof before) => samples.map(({ name, labels }) => JSON.stringify([name, labels]));
    assert.deepEqual(series(after).toSorted(), series(before).toSorted());
  }).timeout(SERVER_MS);

  it("contain no pool with an embedded database @slow", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-metrics-"));
    await using server = await startServerProcess({ environment: { SPOOL_DATA_DIR: folder.path } });
    const text = await scrape(server.url);
    assert.equal(text.sum("spool_database_errors_total"), 0);
    assert.equal(text.sum("spool_tasks_waiting", { kind: "echo" }), 0);
    assert.deepEqual(
      [...text.names].filter((name) => /^spool_database_(?!errors)/.test(name)),
      [],
    );
  }).timeout(SERVER_MS);

  it("are served while the database is down, without the counts of the database until it is back", async () => {
    await using postgres = await startServer();
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: postgres.url } });
    using client = connect({ address: server.address });
    await eventually(() => client.start({ kind: "nobody-has-it" }));
    const waiting = async () => assert.equal((await scrape(server.url)).sum("spool_tasks_waiting"), 1);
    const counted = { timeoutMs: 20_000 };
    await eventually(waiting, counted);
    assert.equal((await scrape(server.url)).sum("spool_database_connections_max"), 16);
    assert.ok((await scrape(server.url)).sum("spool_database_connections")! >= 1);
    await postgres.stop();
    await eventually(async () => {
      const text = await scrape(server.url);
      for (const name of ["waiting", "waiting_oldest_seconds", "delayed"])
        assert.ok(!text.names.has(`spool_tasks_${name}`));
      assert.ok(text.sum("spool_database_errors_total", { reason: "unavailable" })! > 0);
      assert.equal(text.sum("spool_tasks_running"), 0);
    }, counted);
    await postgres.start();
    await eventually(waiting, counted);
  }).timeout(SERVER_MS);

  it("are neither served, counted nor sent if switched off @slow", async () => {
    await using receiver = await openReceiver();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_METRICS: "off", ...receiver.environment };
    await using server = await startServerProcess({ environment });
    assert.equal((await fetch(`${server.url}/metrics`)).status, 404);
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    using client = connect({ address: server.address });
    const { task } = await client.start({ kind: "echo" });
    await client.waitFinal({ taskId: task.taskId, timeoutMs: SERVER_MS });
    assert.equal(await server.end("SIGTERM"), 0);
    assert.deepEqual(receiver.exports, []);
  }).timeout(SERVER_MS);

  it("are sent by OTLP under the same names, at the interval and once at the end", async () => {
    await using receiver = await openReceiver();
    const environment = {
      SPOOL_DATABASE_URL: database.url,
      OTEL_RESOURCE_ATTRIBUTES: "deployment=test",
      ...receiver.environment,
    };
    await using server = await startServerProcess({ environment });
    using client = connect({ address: server.address });
    const { task } = await client.start({ kind: "echo" });
    await client.waitFinal({ taskId: task.taskId, timeoutMs: SERVER_MS });
    // On a slow machine, a scrape can come before the first count of waiting tasks.
    const { names } = await eventually(async () => {
      const scraped = await scrape(server.url);
      assert.ok(scraped.names.has("spool_tasks_waiting"));
      return scraped;
    });
    const metrics = await eventually(() => {
      const sent = metricsIn(receiver.exports.at(-1));
      assert.deepEqual(new Set(sent.keys()), names);
      return sent;
    });
    assert.ok(metrics.get("spool_tasks_waiting")!.gauge);
    assert.ok(metrics.get("spool_task_duration_seconds")!.histogram);
    assert.ok(metrics.get("spool_tasks_started_total")!.sum);
    const attributes = receiver.exports.at(-1)!.resourceMetrics[0]!.resource.attributes;
    const resource = Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
    assert.deepEqual([resource["service.name"], resource["deployment"]], ["spool", "test"]);
    assert.match(resource["service.version"]!, /^\d+\.\d+\.\d+$/);
    assert.match(resource["service.instance.id"]!, /^[0-9a-f-]{36}$/);
    const { length } = receiver.exports;
    assert.equal(await server.end("SIGTERM"), 0);
    assert.ok(receiver.exports.length > length);
  }).timeout(SERVER_MS);

  it("do not delay a stop if the collector does not answer @slow", async () => {
    await using receiver = await openReceiver({ isSilent: true });
    await using server = await startServerProcess({
      environment: { SPOOL_DATABASE_URL: database.url, ...receiver.environment },
    });
    await eventually(() => assert.ok(receiver.exports.length > 0));
    assert.equal(await server.end("SIGTERM"), 0);
  }).timeout(SERVER_MS);

  it("do not delay the exit of a server that cannot start @slow", async () => {
    await using receiver = await openReceiver({ isSilent: true });
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_HTTP_PORT: receiver.port, ...receiver.environment };
    await assert.rejects(startServerProcess({ environment }), /ended with 1:[^]*EADDRINUSE/);
  }).timeout(SERVER_MS);
});

/** Takes what is sent by OTLP, as JSON. @param isSilent answers nothing, and those who send have longer than a test */
async function openReceiver({ isSilent = false } = {}) {
  const exports: Export[] = [];
  const receiver = createServer((request, response) => {
    void json(request).then((sent) => {
      assert.equal(request.url, "/v1/metrics");
      exports.push(sent as Export);
      if (!isSilent) response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  }).listen(0, "127.0.0.1");
  await once(receiver, "listening");
  const { port } = receiver.address() as AddressInfo;
  return {
    exports,
    port: `${port}`,
    environment: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRIC_EXPORT_INTERVAL: "500",
      OTEL_TRACES_EXPORTER: "none",
      ...(isSilent && { OTEL_EXPORTER_OTLP_TIMEOUT: `${10 * SERVER_MS}` }),
    },
    async [Symbol.asyncDispose]() {
      receiver.closeAllConnections();
      receiver.close();
      await once(receiver, "close");
    },
  };
}

function metricsIn(sent: Export | undefined) {
  const all = sent?.resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics)) ?? [];
  return new Map(all.map((metric) => [metric.name, metric]));
}
