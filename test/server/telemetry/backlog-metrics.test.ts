import assert from "node:assert/strict";
import { DataPointType } from "@opentelemetry/sdk-metrics";
import { BacklogMetrics } from "../../../src/server/telemetry/backlog-metrics.ts";
import { kindSeries } from "../../../src/server/telemetry/engine-metrics.ts";
import { KIND_LABELS_MAX, LabelledKinds } from "../../../src/server/telemetry/labelled-kinds.ts";
import type { KindBacklog } from "../../../src/store/reports/backlog.ts";

const WAITING: KindBacklog = { kind: "echo", waiting: 3, oldestMs: 1_500, delayed: 2 };

/** A backlog that the test counts, by a clock that it sets. */
class Bench {
  nowMs = 0;
  readonly asked: { kinds: readonly string[]; kindsMax: number }[] = [];
  count: () => Promise<KindBacklog[]> = async () => [WAITING];
  readonly kinds = new LabelledKinds(kindSeries, ["echo"]);
  readonly metrics = new BacklogMetrics(
    this.kinds,
    (query) => {
      this.asked.push(query);
      return this.count();
    },
    () => this.nowMs,
  );

  /** The gauges, by name and kind. */
  async collect(): Promise<Record<string, Record<string, number>>> {
    const { resourceMetrics, errors } = await this.metrics.collect();
    assert.deepEqual(errors, []);
    const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return Object.fromEntries(
      metrics.map((metric) => {
        assert.equal(metric.dataPointType, DataPointType.GAUGE);
        const points = metric.dataPoints.map(({ attributes, value }) => [attributes["kind"], value]);
        return [metric.descriptor.name.replace("spool_tasks_", ""), Object.fromEntries(points)];
      }),
    );
  }
}

describe("the gauges of waiting tasks", () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  const told = {
    waiting: { echo: 3, other: 0 },
    waiting_oldest_seconds: { echo: 1.5, other: 0 },
    delayed: { echo: 2, other: 0 },
  };

  it("are counted once for concurrent scrapes and cached for five seconds", async () => {
    assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => bench.collect())), Array(20).fill(told));
    bench.nowMs += 4_999;
    assert.deepEqual(await bench.collect(), told);
    assert.deepEqual(bench.asked, [{ kinds: ["echo"], kindsMax: KIND_LABELS_MAX }]);
    bench.nowMs += 1;
    await bench.collect();
    assert.equal(bench.asked.length, 2);
  });

  it("use at most a tenth of the time for counting", async () => {
    bench.count = async () => {
      bench.nowMs += 2_000;
      return [WAITING];
    };
    await bench.collect();
    bench.nowMs += 17_999;
    await bench.collect();
    assert.equal(bench.asked.length, 1);
    bench.nowMs += 1;
    await bench.collect();
    assert.equal(bench.asked.length, 2);
  });

  it("are zero for a known kind without waiting tasks", async () => {
    bench.count = async () => [];
    assert.deepEqual(await bench.collect(), {
      waiting: { echo: 0, other: 0 },
      waiting_oldest_seconds: { echo: 0, other: 0 },
      delayed: { echo: 0, other: 0 },
    });
  });

  it("add kinds without a label to the shared label", async () => {
    const many = Array.from({ length: KIND_LABELS_MAX }, (_, index) => ({ ...WAITING, kind: `kind-${index}` }));
    bench.count = async () => [...many, { kind: null, waiting: 7, oldestMs: 9_000, delayed: 0 }];
    const { waiting, waiting_oldest_seconds: oldest } = await bench.collect();
    const { length } = bench.kinds.labels;
    assert.ok(length < KIND_LABELS_MAX);
    assert.equal(Object.keys(waiting!).length, length + 1);
    assert.equal(waiting!["other"], 7 + 3 * (KIND_LABELS_MAX - (length - 1)));
    assert.equal(oldest!["other"], 9);
  });

  it("are omitted while counting fails and return afterwards", async () => {
    await bench.collect();
    bench.nowMs += 5_000;
    bench.count = () => Promise.reject(new Error("no database"));
    assert.deepEqual(await bench.collect(), {});
    bench.count = async () => [WAITING];
    assert.deepEqual(await bench.collect(), {}); // A failure is kept like an answer.
    bench.nowMs += 5_000;
    assert.deepEqual(await bench.collect(), told);
  });

  it("delay a scrape by at most a second, and a late count is reported for a minute", async () => {
    const late = Promise.withResolvers<KindBacklog[]>();
    bench.count = () => late.promise;
    assert.deepEqual(await bench.collect(), {});
    late.resolve([WAITING]);
    assert.deepEqual(await bench.collect(), told);
    bench.count = () => new Promise(() => {});
    bench.nowMs += 60_000;
    assert.deepEqual(await bench.collect(), told);
    bench.nowMs += 1;
    assert.deepEqual(await bench.collect(), {});
    assert.equal(bench.asked.length, 2);
  });
});
