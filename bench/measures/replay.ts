import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { perSecond } from "../rate.ts";
import { countTape } from "./tapes.ts";

const EVENTS = 200_000;

export const replay = single({
  name: "replay",
  unit: "events/s",
  about: "one client reads the finished tape of a task that emitted 200,000 events",
  comparisons: [
    { with: "grpc-stream", bar: { atLeast: 0.4 } },
    { with: "grpc-stream-bytes" },
    { with: "postgres-read" },
  ],
  async prepare({ spoolAddress }) {
    const client = connect({ address: spoolAddress });
    const { task } = await client.start({ kind: burst.name, params: { events: EVENTS } });
    await client.waitFinal({ taskId: task.taskId, timeoutMs: 60_000 });
    return {
      async run() {
        const startedAt = performance.now();
        await countTape(client.follow({ taskId: task.taskId }), EVENTS);
        return perSecond(EVENTS, startedAt);
      },
      close: () => client.close(),
    };
  },
});
