import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { connectAll } from "../spread.ts";

export const startAndEnd = single({
  name: "start-and-end",
  unit: "tasks/s",
  about: "start a task that ends at once and is followed by nobody, 64 calls at once",
  comparisons: [{ with: "grpc-unary" }, { with: "graphile-worker" }, { with: "pg-boss" }],
  async prepare({ targets }) {
    const clients = connectAll(targets);
    const work = () => clients.next().start({ kind: burst.name, params: { events: 0 } });
    await rateOf(work, { times: 1_000, atOnce: 64 });
    return { run: () => rateOf(work, { times: 6_000, atOnce: 64 }), close: () => clients.close() };
  },
});
