import assert from "node:assert/strict";
import { once } from "node:events";
import { TaskNotFound } from "../../../src/domain/errors.ts";
import { Readiness } from "../../../src/server/readiness.ts";
import { aLogEvent, aPage, aTask, TASK_ID } from "../../rpc/fake-engine.ts";
import { eventually } from "../../support/eventually.ts";
import { clientOf, openTestListener, PROTOCOLS, refusalOf } from "./open-http-listener.ts";

const [, [, transport]] = PROTOCOLS as [unknown, (typeof PROTOCOLS)[number]];

describe("the probes of the HTTP endpoint", () => {
  it("report liveness and readiness without a token and for any host", async () => {
    await using server = await openTestListener({}, { token: "a-token" });
    const { readiness, url } = server;
    const ask = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return [response.status, await response.json()];
    };
    assert.deepEqual(await ask("/healthz"), [200, { alive: true }]);
    const before = { ready: false, database: true, schema: false, engine: false, draining: false };
    assert.deepEqual(await ask("/readyz"), [503, before]);
    readiness.schema = true;
    assert.deepEqual(await ask("/readyz"), [503, { ...before, schema: true }]);
    readiness.engine = true;
    const ready = { ...before, ready: true, schema: true, engine: true };
    assert.deepEqual(await ask("/readyz"), [200, ready]);
    readiness.draining = true;
    assert.deepEqual(await ask("/readyz"), [503, { ...ready, ready: false, draining: true }]);
    assert.deepEqual(await ask("/healthz"), [200, { alive: true }]);
  });

  it("check the database on each request, and once for concurrent requests", async () => {
    let asked = 0;
    let isDown = false;
    const readiness = new Readiness(async () => {
      asked++;
      if (isDown) throw new Error("no database");
    });
    const reports = await Promise.all(Array.from({ length: 10 }, () => readiness.report()));
    assert.ok(reports.every(({ database }) => database));
    assert.equal(asked, 1);
    isDown = true;
    assert.equal((await readiness.report()).database, false);
    isDown = false;
    assert.equal((await readiness.report()).database, true);
  });

  it("treat a database that does not answer as down", async () => {
    const readiness = new Readiness(() => new Promise(() => {}));
    assert.equal((await readiness.report()).database, false);
  });
});

describe("the metrics of the HTTP endpoint", () => {
  it("count calls by endpoint, method and code, and open streams", async () => {
    await using server = await openTestListener({
      getTask: async (taskId) => (taskId === TASK_ID ? aTask() : Promise.reject(new TaskNotFound(taskId))),
      async *followTape(_query, signal) {
        yield aPage([aLogEvent(1)]);
        await once(signal, "abort");
        throw signal.reason;
      },
    });
    const scrape = async () => {
      const response = await fetch(`${server.url}/metrics`);
      assert.match(response.headers.get("content-type")!, /^text\/plain/);
      return (await response.text()).split("\n");
    };
    const client = clientOf(server, transport);
    await client.getTask({ taskId: TASK_ID });
    await client.getTask({ taskId: TASK_ID });
    await assert.rejects(client.getTask({ taskId: TASK_ID.replace("0", "1") }));
    await assert.rejects(client.getTask({ taskId: "nonsense" }));
    const leaving = new AbortController();
    const stream = client.streamEvents({ taskId: TASK_ID }, { signal: leaving.signal })[Symbol.asyncIterator]();
    await stream.next();
    const events = await fetch(`${server.url}/v1/tasks/${TASK_ID}/events`);
    const lines = await scrape();
    for (const line of [
      'spool_calls_total{door="http",method="GetTask",code="ok"} 2',
      'spool_calls_total{door="http",method="GetTask",code="not_found"} 1',
      'spool_calls_total{door="http",method="GetTask",code="invalid_argument"} 1',
      'spool_open_streams{door="http",method="StreamEvents"} 1',
      'spool_open_streams{door="sse",method="StreamEvents"} 1',
    ]) {
      assert.ok(lines.includes(line), `${line}\n${lines.join("\n")}`);
    }
    leaving.abort();
    await events.body!.cancel();
    await eventually(async () => {
      const after = await scrape();
      for (const endpoint of ["http", "sse"]) {
        assert.ok(after.includes(`spool_open_streams{door="${endpoint}",method="StreamEvents"} 0`));
        assert.ok(after.includes(`spool_calls_total{door="${endpoint}",method="StreamEvents",code="canceled"} 1`));
      }
    });
  });

  it("count a call as cancelled if its caller disconnects without reading the response", async () => {
    await using server = await openTestListener({
      async *followTape() {
        for (let seq = 1; ; seq++) yield aPage([aLogEvent(seq, "x".repeat(100_000))]);
      },
    });
    for (const [, transport] of PROTOCOLS) {
      const leaving = new AbortController();
      const { signal } = leaving;
      const stream = clientOf(server, transport).streamEvents({ taskId: TASK_ID }, { signal })[Symbol.asyncIterator]();
      await stream.next();
      leaving.abort();
      await assert.rejects(stream.next());
    }
    const leaving = new AbortController();
    await fetch(`${server.url}/v1/tasks/${TASK_ID}/events`, { signal: leaving.signal });
    leaving.abort();
    await eventually(async () => {
      const lines = (await (await fetch(`${server.url}/metrics`)).text()).split("\n");
      assert.deepEqual(
        lines.filter((line) => /^spool_(calls_total|open_streams)/.test(line) && line.includes("StreamEvents")).sort(),
        [
          `spool_calls_total{door="http",method="StreamEvents",code="canceled"} ${PROTOCOLS.length}`,
          'spool_calls_total{door="sse",method="StreamEvents",code="canceled"} 1',
          'spool_open_streams{door="http",method="StreamEvents"} 0',
          'spool_open_streams{door="sse",method="StreamEvents"} 0',
        ],
      );
    });
    assert.deepEqual(server.lines, []); // Nor is it a failure to the log.
  });

  it("describe the process", async () => {
    await using server = await openTestListener({});
    const text = await (await fetch(`${server.url}/metrics`)).text();
    for (const metric of [
      /^spool_build_info\{version="\d+\.\d+\.\d+",node="24\./m,
      /^process_uptime_seconds [0-9.]+$/m,
      /^process_cpu_seconds_total [0-9.]+$/m,
      /^process_resident_memory_bytes \d{7,}$/m,
      /^nodejs_heap_used_bytes \d{7,}$/m,
      /^nodejs_eventloop_delay_(p50|p99|max)_seconds [0-9.e-]+$/m,
    ]) {
      assert.match(text, metric);
    }
  });

  it("require the token if one is configured", async () => {
    await using server = await openTestListener({}, { token: "a-token" });
    const refusal = await refusalOf(await fetch(`${server.url}/metrics`));
    assert.deepEqual([refusal.status, refusal.reason], [401, "UNAUTHENTICATED"]);
    const headers = { authorization: "Bearer a-token" };
    assert.equal((await fetch(`${server.url}/metrics`, { headers })).status, 200);
  });
});
