import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import type { Comparison, Measure } from "../measure.ts";
import { perSecond } from "../rate.ts";
import { countTape } from "./tapes.ts";

export const events16 = eventsEndToEnd({
  name: "events-16",
  tasks: 16,
  events: 20_000,
  comparisons: [
    { with: "postgres-1024", bar: { atLeast: 0.7 } },
    { with: "grpc-stream-16" },
    { with: "Taskcast on Redis and Postgres", noted: 2_900 },
    { with: "DBOS", noted: 865 },
  ],
});

export const events1 = eventsEndToEnd({
  name: "events-1",
  tasks: 1,
  events: 100_000,
  comparisons: [{ with: "postgres-1024", bar: { atLeast: 0.4 } }, { with: "grpc-stream" }],
});

function eventsEndToEnd({
  name,
  tasks,
  events,
  comparisons,
}: {
  name: string;
  tasks: number;
  events: number;
  comparisons: readonly Comparison[];
}): Measure {
  const each = events.toLocaleString("en");
  return single({
    name,
    unit: "events/s",
    about:
      tasks === 1
        ? `a task emits ${each} events and a client follows it from its start to its end`
        : `${tasks} tasks at once emit ${each} events each, and a client follows each from its start to its end`,
    comparisons,
    async prepare({ spoolAddress }) {
      const client = connect({ address: spoolAddress });
      const follow = async (emitted: number) => {
        const run = await client.run({ kind: burst.name, params: { events: emitted } });
        await countTape(run.events, emitted);
      };
      const all = (emitted: number) => Promise.all(Array.from({ length: tasks }, () => follow(emitted)));
      await all(Math.ceil(10_000 / tasks));
      return {
        async run() {
          const startedAt = performance.now();
          await all(events);
          return perSecond(tasks * events, startedAt);
        },
        close: () => client.close(),
      };
    },
  });
}
