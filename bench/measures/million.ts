import { connect } from "../../src/client/client.ts";
import { burst } from "../kinds.ts";
import type { Measure } from "../measure.ts";
import { peakKib } from "../memory.ts";
import type { Servers } from "../servers.ts";
import { countTape } from "./tapes.ts";

const FEW = 10_000;
const MANY = 1_000_000;

export const million: Measure = {
  name: "million",
  about: "a task emits 1,000,000 events to a follower on a fresh server, at most 3 times: its memory at the peak",
  only: "heavy",
  roundsMax: 3,
  figures: [
    {
      name: "peak-ten-thousand",
      unit: "MiB",
      about: "a fresh server's memory at its peak while a task emits 10,000 events to a follower",
    },
    {
      name: "peak-million",
      unit: "MiB",
      about: "the same of a task that emits 1,000,000 events",
      comparisons: [{ with: "peak-ten-thousand", bar: { atMost: 1.3 } }],
    },
  ],
  async prepare({ startSpool }, size) {
    return {
      run: async () => ({
        "peak-ten-thousand": await peakMib(startSpool, size(FEW)),
        "peak-million": await peakMib(startSpool, size(MANY)),
      }),
      close() {},
    };
  },
};

async function peakMib(startSpool: Servers["startSpool"], events: number): Promise<number> {
  await using spool = await startSpool();
  using client = connect({ address: spool.address });
  const peak = await peakKib(spool.pid, async () => {
    const run = await client.run({ kind: burst.name, params: { events } });
    await countTape(run.events, events);
  });
  return peak / 1_024;
}
