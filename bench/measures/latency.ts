import { connect } from "../../src/client/client.ts";
import { machineMs } from "../clock.ts";
import { paced } from "../kinds.ts";
import type { Comparison, Measure } from "../measure.ts";
import { quantile } from "../statistics.ts";

const PER_SECOND = 1_000;
const EVENTS = 2_000;

export const latencyP50 = latency("latency-p50", 0.5, [
  { with: "postgres-insert-p50", bar: { atMost: 4 } },
  { with: "Taskcast on Redis and Postgres", noted: 1.1 },
]);

export const latencyP99 = latency("latency-p99", 0.99, [
  { with: "latency-p50" },
  { with: "Taskcast on Redis and Postgres", noted: 5.1 },
]);

function latency(name: string, share: number, comparisons: readonly Comparison[]): Measure {
  return {
    name,
    unit: "ms",
    about: `from emit to the follower, p${share * 100} of ${EVENTS.toLocaleString("en")} events at about 1,000 a second`,
    comparisons,
    async prepare({ spoolAddress }) {
      const client = connect({ address: spoolAddress });
      const sample = async (events: number): Promise<number[]> => {
        const delays: number[] = [];
        const params = { events, per_second: PER_SECOND };
        const run = await client.run({ kind: paced.name, params });
        for await (const event of run.events) {
          if (event.type === "progress") delays.push(machineMs() - Number(event.detail!["at"]));
        }
        if (delays.length !== events) throw new Error(`${delays.length} of ${events} events came`);
        return delays;
      };
      await sample(500);
      return { run: async () => quantile(await sample(EVENTS), share), close: () => client.close() };
    },
  };
}
