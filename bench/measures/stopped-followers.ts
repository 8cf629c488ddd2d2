import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { openFollowers } from "../followers.ts";
import type { Measure } from "../measure.ts";
import { peakKib } from "../memory.ts";
import { perSecond } from "../rate.ts";
import type { OwnSpool } from "../servers.ts";
import { followRequest, startGated, STREAM_EVENTS } from "./gated-tasks.ts";
import { countTape } from "./tapes.ts";

const TASKS = 16;
const EVENTS = 20_000;
const STOPPED = 50;
const CONNECTIONS = 5;

export const stoppedFollowers: Measure = {
  name: "stopped-followers",
  about:
    "16 tasks that are followed, with 50 more followers on their tapes who have stopped reading, on a server of its own",
  figures: [
    {
      name: "readers-alone",
      unit: "events/s",
      about: "16 tasks at once emit 20,000 events each, and a client follows each",
    },
    {
      name: "stopped-followers",
      unit: "events/s",
      about: "the same, with 50 more followers on the same tapes who read nothing",
      comparisons: [{ with: "readers-alone", bar: { atLeast: 0.9 } }],
    },
    { name: "readers-alone-memory", unit: "MiB", about: "the server's memory at its peak, without them" },
    {
      name: "stopped-followers-memory",
      unit: "MiB",
      about: "the server's memory at its peak, with them",
      comparisons: [{ with: "readers-alone-memory" }],
    },
  ],
  async prepare({ startSpool }) {
    await using preparing = new AsyncDisposableStack();
    const spool = preparing.use(await startSpool());
    const client = preparing.use(connect({ address: spool.address }));
    await followAll(client, spool, 0); // The heap has grown to what the work takes.
    const prepared = preparing.move();
    return {
      async run() {
        const alone = await followAll(client, spool, 0);
        const beside = await followAll(client, spool, STOPPED);
        return {
          "readers-alone": alone.perSecond,
          "stopped-followers": beside.perSecond,
          "readers-alone-memory": alone.peakMib,
          "stopped-followers-memory": beside.peakMib,
        };
      },
      close: () => prepared.disposeAsync(),
    };
  },
};

async function followAll(
  client: SpoolClient,
  { address, pid }: OwnSpool,
  stopped: number,
): Promise<{ perSecond: number; peakMib: number }> {
  const { taskIds, open } = await startGated(client, { tasks: TASKS, events: EVENTS });
  const requests = Array.from({ length: stopped }, (_, index) => followRequest(taskIds[index % TASKS]!));
  await using followers =
    stopped > 0 ? await openFollowers({ address, path: STREAM_EVENTS, requests, connections: CONNECTIONS }) : null;
  followers?.freeze();
  let rate = 0;
  const peak = await peakKib(pid, async () => {
    const startedAt = performance.now();
    await Promise.all([...taskIds.map((taskId) => countTape(client.follow({ taskId }), EVENTS)), open()]);
    rate = perSecond(TASKS * EVENTS, startedAt);
  });
  return { perSecond: rate, peakMib: peak / 1_024 };
}
