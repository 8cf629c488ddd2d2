import assert from "node:assert/strict";
import { join } from "node:path";
import { connect, worker } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { readDashboard, whereChosen } from "../docs/dashboard.ts";
import { documentedMetrics } from "../docs/documented-metrics.ts";
import { kindOf } from "../support/engine-tasks.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import type { ServerProcess } from "../support/server-process.ts";
import { startPrometheus } from "./support/prometheus.ts";
import type { Prometheus } from "./support/prometheus.ts";
import { promtool } from "./support/promtool.ts";

const ROOT = join(import.meta.dirname, "../..");
const KINDS = join(ROOT, "test/fault/support/kinds.ts");
const TOKEN = "a-token";
const CHOSEN = { job: "spool", instance: ".+", kind: ".+", __rate_interval: "30s" };
const LASTING = { kind: "fault-steps", params: { events: 2, every_ms: 120_000 } };
/** What a panel asks that is empty while all is well. */
const OF_LOST_ATTEMPTS =
  'sum by (kind) (increase(spool_attempt_duration_seconds_count{job="$job", instance=~"$instance", kind=~"$kind", outcome="lost"}[$__rate_interval]))';
const WAIT_MS = 40_000;

type Series = { metric: Record<string, string>; value: [number, string] }[];
interface Rule {
  name: string;
  health: string;
  lastError?: string;
  alerts: { state: string; labels: Record<string, string> }[];
}

describe("a service scraped by Prometheus", () => {
  const opened = new AsyncDisposableStack();
  let prometheus: Prometheus;
  let servers: ServerProcess[];
  let clients: SpoolClient[];
  before(async () => {
    const database = opened.use(await createDatabase());
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_TOKEN: TOKEN, SPOOL_LEASE_MS: "2000" };
    const startOne = async () => opened.use(await startServerProcess({ environment, args: ["--kinds", KINDS] }));
    servers = [await startOne(), await startOne()];
    clients = servers.map(({ address }) =>
      opened.adopt(connect({ address, token: TOKEN }), (client) => client.close()),
    );
    // As docs/operating.md has it.
    prometheus = opened.use(
      await startPrometheus({
        rule_files: [join(ROOT, "docs/alerts.yaml")],
        scrape_configs: [
          {
            job_name: "spool",
            authorization: { credentials: TOKEN },
            static_configs: [{ targets: servers.map(({ url }) => new URL(url).host) }],
          },
        ],
      }),
    );
  });
  after(() => opened[Symbol.asyncDispose]());

  const query = async (expr: string) =>
    ((await prometheus.ask("query", { query: whereChosen(expr, CHOSEN) })) as { result: Series }).result;
  const rules = async () =>
    ((await prometheus.ask("rules")) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

  it("is up at each of its servers", async () => {
    await eventually(async () => {
      const { activeTargets } = (await prometheus.ask("targets")) as {
        activeTargets: { health: string; lastError: string }[];
      };
      assert.deepEqual(
        activeTargets.map(({ health, lastError }) => [health, lastError]),
        servers.map(() => ["up", ""]),
      );
    });
  });

  it("has data in every panel of the dashboard while tasks of all sorts run", async () => {
    const [a, b] = clients as [SpoolClient, SpoolClient];
    const kind = kindOf("at-a-worker", () => Promise.resolve({}));
    await using _running = worker({ address: servers[0]!.address, token: TOKEN, kinds: [kind], signals: false });
    const panels = readDashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    assert.ok(panels.length > 40);
    await b.start({ kind: "nobody-has-it" });
    await eventually(
      async () => {
        const { task } = await a.start(LASTING);
        await eventually(async () => assert.equal((await b.get({ taskId: task.taskId })).lastSeq, 2n));
        await b.cancel({ taskId: task.taskId });
        await b.waitFinal({ taskId: task.taskId, timeoutMs: WAIT_MS });
        for (const request of [
          { kind: "at-a-worker" },
          { kind: "fault-flaky", params: { events: 1, failing_attempts: 9 } },
        ]) {
          const { task: short } = await b.start({ ...request, maxAttempts: 2, retryPolicy: { initialBackoffMs: 1 } });
          await b.waitFinal({ taskId: short.taskId, timeoutMs: WAIT_MS });
        }
        const empty = [];
        // Only a server with a standby has its metrics: test/server/standby.test.ts.
        const shown = panels.filter((expr) => !expr.includes("spool_standby_"));
        for (const expr of shown) if ((await query(expr)).length === 0) empty.push(expr);
        assert.deepEqual(empty, [OF_LOST_ATTEMPTS]);
      },
      { timeoutMs: WAIT_MS },
    );
  });

  it("exports metrics that promtool accepts", async () => {
    for (const { url } of servers) {
      const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } });
      promtool(["check", "metrics"], await answer.text());
    }
  });

  it("exports metrics with the documented types according to Prometheus", async () => {
    const metadata = (await prometheus.ask("metadata")) as Record<string, { type: string; help: string }[]>;
    const documented = documentedMetrics();
    for (const [name, [told]] of Object.entries(metadata)) {
      const series = told!.type === "histogram" ? `${name}_bucket` : name;
      assert.equal(told!.type, documented.get(series)?.type, name);
      assert.notEqual(told!.help, "");
    }
    assert.ok(Object.keys(metadata).length > 30);
  });

  it("has alarms that Prometheus can evaluate, and none fires while the service is healthy", async () => {
    await eventually(async () => {
      const told = await rules();
      assert.ok(told.length >= 15);
      assert.deepEqual([...new Set(told.map(({ health, lastError }) => `${health} ${lastError ?? ""}`))], ["ok "]);
    });
    const firing = (await rules()).flatMap(({ alerts }) => alerts).filter(({ state }) => state === "firing");
    assert.deepEqual(firing, []);
  });

  it("raises one alarm if a live server has lost its session and another if a server is gone", async () => {
    const [a, b] = clients as [SpoolClient, SpoolClient];
    const [, { url, child, end }] = servers as [ServerProcess, ServerProcess];
    const raised = async (alarm: string) =>
      (await rules())
        .find(({ name }) => name === alarm)!
        .alerts.map(({ state, labels }) => [state, labels["instance"]]);
    const { task } = await b.start(LASTING);
    await eventually(async () => assert.equal((await b.get({ taskId: task.taskId })).lastSeq, 2n));
    child.kill("SIGSTOP");
    await a.waitFinal({ taskId: task.taskId, timeoutMs: WAIT_MS });
    // The session goes after its tasks: one that came back in between would renew it.
    await eventually(async () => assert.equal((await a.sessions()).sessions.length, 1));
    child.kill("SIGCONT");
    await eventually(
      async () => {
        assert.deepEqual(await raised("SpoolSessionsLost"), [["firing", new URL(url).host]]);
        assert.ok((await query(OF_LOST_ATTEMPTS)).length > 0);
        assert.deepEqual(await raised("SpoolServerDown"), []);
      },
      { timeoutMs: WAIT_MS },
    );
    await end("SIGKILL");
    await eventually(async () => assert.deepEqual(await raised("SpoolServerDown"), [["pending", new URL(url).host]]));
  });
});
