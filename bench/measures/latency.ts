import { connect } from "../../src/client/client.ts";
import type { Measure } from "../measure.ts";
import { settle } from "../databases.ts";
import { quantile } from "../statistics.ts";
import { sampleDelays } from "./delays.ts";

const PER_SECOND = 1_000;
const EVENTS = 5_000;

export const latency: Measure = {
  name: "latency",
  about: "from emit to the follower, of 5,000 events at 1,000 a second",
  figures: [
    {
      name: "latency-p50",
      unit: "ms",
      about: "from emit to the follower at 1,000 events a second, p50",
      comparisons: [
        { with: "postgres-insert-p50", bar: { atMost: 4 } },
        { with: "Taskcast on Redis and Postgres", noted: 1.1 },
      ],
    },
    {
      name: "latency-p99",
      unit: "ms",
      about: "the same, p99",
      comparisons: [
        { with: "postgres-insert-p50", bar: { atMost: 12 } },
        { with: "postgres-insert-p99" },
        { with: "Taskcast on Redis and Postgres", noted: 5.1 },
      ],
    },
    {
      name: "latency-p999",
      unit: "ms",
      about: "the same, p99.9: of five events a round",
      comparisons: [{ with: "postgres-insert-p50" }],
    },
  ],
  async prepare({ spoolAddress, bareDatabaseUrl }) {
    const client = connect({ address: spoolAddress });
    const sample = (events: number) => sampleDelays(client, { events, perSecond: PER_SECOND });
    await sample(500);
    return {
      async run() {
        await settle(bareDatabaseUrl);
        const delays = await sample(EVENTS);
        return {
          "latency-p50": quantile(delays, 0.5),
          "latency-p99": quantile(delays, 0.99),
          "latency-p999": quantile(delays, 0.999),
        };
      },
      close: () => client.close(),
    };
  },
};
