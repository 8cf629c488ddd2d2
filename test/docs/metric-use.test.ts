import assert from "node:assert/strict";
import { documentedMetrics } from "./documented-metrics.ts";
import { labelsOf } from "./metric-use.ts";
import { parsePromql } from "./promql.ts";

describe("the check of metric use", () => {
  const metrics = documentedMetrics();

  for (const [text, ...labels] of [
    ["sum by (kind) (spool_tasks_running)", "kind"],
    ["spool_workers > 0", "job", "instance"],
    ["histogram_quantile(0.9, sum by (job, le) (rate(spool_task_wait_seconds_bucket[5m])))", "job"],
    ["sum by (job, of) (spool_followers) / on (job) group_left sum by (job) (spool_followers)", "job", "of"],
    ["sum by (job) (spool_workers) or sum by (instance) (spool_workers)", "job", "instance"],
    ["sum by (job, of) (spool_followers) / on (job) sum by (job) (spool_workers)", "job"],
    ["absent(spool_workers)"],
  ] as const) {
    it(`returns the labels of ${text}`, () => {
      assert.deepEqual([...labelsOf(parsePromql(text), metrics)], labels);
    });
  }

  for (const [text, why] of [
    ["sum(spool_tasks_runing)", /spool_tasks_runing is not documented/],
    ["spool_task_wait_seconds", /is not documented/],
    ['spool_workers{kind="echo"}', /spool_workers has no label kind/],
    ['spool_followers{of="tapes"}', /of of spool_followers is never tapes/],
    ['spool_followers{of=~"tape|tapes"}', /of of spool_followers is never tapes/],
    ['spool_calls_total{code="unavailible"}', /code of spool_calls_total is never unavailible/],
    ['spool_workers{job=~"("}', /is no list of values/],
    ['spool_workers{job="$job"}', /is no list of values/],
    ["rate(spool_workers[5m])", /spool_workers is a gauge: it has no rate/],
    ["sum by (kind) (spool_workers)", /sum by kind, which is not there/],
    ["sum by (kind) (spool_tasks_waiting)", /of the namespace: max, not sum/],
    ["sum by (kind) (spool_tasks_waiting > 1)", /of the namespace: max, not sum/],
    ["max by (job) ((spool_workers offset 5m))", /of one server: sum, not max/],
    ["histogram_quantile(0.9, sum by (job) (rate(spool_task_wait_seconds_bucket[5m])))", /its buckets by le/],
    ["sum by (job) (spool_workers) and on (kind) spool_workers", /and on kind, which is not on both sides/],
    ["sum by (job) (spool_workers) / spool_workers", /series by job with series by job,instance/],
  ] as const) {
    it(`refuses ${text}`, () => {
      assert.throws(() => labelsOf(parsePromql(text), metrics), why);
    });
  }
});
