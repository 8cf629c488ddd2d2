import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

export const startTask = single({
  name: "start-task",
  unit: "tasks/s",
  about: "start a task that is stored and waits for its time, 64 calls at once, on a server of its own",
  comparisons: [{ with: "grpc-unary", bar: { atLeast: 0.6 } }],
  async prepare({ startSpool }) {
    await using preparing = new AsyncDisposableStack();
    const { address } = preparing.use(await startSpool()); // What waits would be in the way of the others' tasks.
    const client = preparing.use(connect({ address }));
    const runAt = new Date(Date.now() + DAY_MS);
    const work = () => client.start({ kind: burst.name, params: { events: 0 }, runAt });
    await rateOf(work, { times: 1_000, atOnce: 64 });
    const prepared = preparing.move();
    return { run: () => rateOf(work, { times: 6_000, atOnce: 64 }), close: () => prepared.disposeAsync() };
  },
});
