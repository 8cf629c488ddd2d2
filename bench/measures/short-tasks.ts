import { startWorkers } from "../bench-worker.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import type { Comparison, Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { remoteBurst } from "../remote-burst.ts";
import { connectAll } from "../spread.ts";
import { countTape } from "./tapes.ts";

const EVENTS = 10;

export const shortTasks = short({
  name: "short-tasks",
  about: `start a task that emits ${EVENTS} events and follow it to its end, 64 at once`,
  comparisons: [
    { with: "Taskcast on Redis and Postgres", noted: 136, bar: { atLeast: 15 } },
    { with: "dbos", bar: { atLeast: 20 } },
    { with: "grpc-unary" },
  ],
});

export const shortTasksWorker = short({
  name: "short-tasks-worker",
  about: `the same, where a TypeScript worker runs the tasks`,
  byWorker: true,
  comparisons: [{ with: "short-tasks", bar: { atLeast: 0.5 } }],
});

function short({
  byWorker = false,
  ...figure
}: {
  name: string;
  about: string;
  comparisons: readonly Comparison[];
  byWorker?: boolean;
}): Measure {
  return single({
    ...figure,
    unit: "tasks/s",
    async prepare({ targets }) {
      const workers = byWorker ? await startWorkers(targets) : null;
      const kind = byWorker ? remoteBurst.name : burst.name;
      const clients = connectAll(targets);
      const work = async () => {
        const { events } = await clients.next().run({ kind, params: { events: EVENTS } });
        await countTape(events, EVENTS);
      };
      await rateOf(work, { times: 500, atOnce: 64 });
      return {
        run: () => rateOf(work, { times: 3_000, atOnce: 64 }),
        async close() {
          clients.close();
          await workers?.[Symbol.asyncDispose]();
        },
      };
    },
  });
}
