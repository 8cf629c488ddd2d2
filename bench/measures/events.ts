import { startWorkers } from "../bench-worker.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import type { Comparison, Measure } from "../measure.ts";
import { perSecond } from "../rate.ts";
import { remoteBurst } from "../remote-burst.ts";
import { connectAll } from "../spread.ts";
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

export const events16Worker = eventsEndToEnd({
  name: "events-16-worker",
  tasks: 16,
  events: 20_000,
  byWorker: true,
  comparisons: [{ with: "events-16", bar: { atLeast: 0.6 } }],
});

export const events1Worker = eventsEndToEnd({
  name: "events-1-worker",
  tasks: 1,
  events: 100_000,
  byWorker: true,
  comparisons: [{ with: "events-1" }],
});

function eventsEndToEnd({
  name,
  tasks,
  events,
  comparisons,
  byWorker = false,
}: {
  name: string;
  tasks: number;
  events: number;
  comparisons: readonly Comparison[];
  /** Whether the tasks run in a process of their own, connected as a worker. */
  byWorker?: boolean;
}): Measure {
  const each = events.toLocaleString("en");
  return single({
    name,
    unit: "events/s",
    about:
      (tasks === 1
        ? `a task emits ${each} events and a client follows it from its start to its end`
        : `${tasks} tasks at once emit ${each} events each, and a client follows each from its start to its end`) +
      (byWorker ? ", where a TypeScript worker runs the tasks" : ""),
    comparisons,
    async prepare({ targets }) {
      const workers = byWorker ? await startWorkers(targets) : null;
      const kind = byWorker ? remoteBurst.name : burst.name;
      const clients = connectAll(targets);
      const follow = async (emitted: number) => {
        const run = await clients.next().run({ kind, params: { events: emitted } });
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
        async close() {
          clients.close();
          await workers?.[Symbol.asyncDispose]();
        },
      };
    },
  });
}
