import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { countTape } from "./tapes.ts";

const EVENTS = 10;

export const shortTasks = single({
  name: "short-tasks",
  unit: "tasks/s",
  about: `start a task that emits ${EVENTS} events and follow it to its end, 64 at once`,
  comparisons: [
    { with: "Taskcast on Redis and Postgres", noted: 136, bar: { atLeast: 15 } },
    { with: "dbos", bar: { atLeast: 20 } },
    { with: "grpc-unary" },
  ],
  async prepare({ spoolAddress }) {
    const client = connect({ address: spoolAddress });
    const work = async () => {
      const { events } = await client.run({ kind: burst.name, params: { events: EVENTS } });
      await countTape(events, EVENTS);
    };
    await rateOf(work, { times: 500, atOnce: 64 });
    return { run: () => rateOf(work, { times: 3_000, atOnce: 64 }), close: () => client.close() };
  },
});
