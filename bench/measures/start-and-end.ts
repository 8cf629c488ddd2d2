import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";

export const startAndEnd = single({
  name: "start-and-end",
  unit: "tasks/s",
  about: "start a task that ends at once and is followed by nobody, 64 calls at once",
  comparisons: [{ with: "grpc-unary" }, { with: "graphile-worker" }, { with: "pg-boss" }],
  async prepare({ spoolAddress }) {
    const client = connect({ address: spoolAddress });
    const work = () => client.start({ kind: burst.name, params: { events: 0 } });
    await rateOf(work, { times: 1_000, atOnce: 64 });
    return { run: () => rateOf(work, { times: 6_000, atOnce: 64 }), close: () => client.close() };
  },
});
