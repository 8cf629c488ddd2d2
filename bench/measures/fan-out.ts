import { Client, credentials } from "@grpc/grpc-js";
import { RELEASE, STREAM } from "../bare-service.ts";
import type { StreamRequest } from "../bare-service.ts";
import { connect } from "../../src/client/client.ts";
import type { SpoolClient } from "../../src/client/client.ts";
import { openFollowers } from "../followers.ts";
import type { Arrived, FollowOrder } from "../followers.ts";
import type { Measure, Schedule } from "../measure.ts";
import { perSecond } from "../rate.ts";
import { callEmpty } from "./empty-call.ts";
import { followRequest, startGated, STREAM_EVENTS } from "./gated-tasks.ts";
import { tapeLength } from "./tapes.ts";

const FOLLOWERS = 500;
const CONNECTIONS = 10;
/** What a round of it gave. */
interface FannedOut extends Arrived {
  perSecond: number;
}

export const fanOut = fanOutOf({
  name: "fan-out",
  events: 4_000,
  about: "a burst of 4,000 events, which the server has in memory, to 500 followers: events delivered",
});

export const fanOutBehind = fanOutOf({
  name: "fan-out-behind",
  events: 10_000,
  about: "the same of 10,000 events, so that followers fall behind what the server has in memory, at most 3 times",
  roundsMax: 3,
});

function fanOutOf({
  name,
  events,
  about,
  ...schedule
}: { name: string; events: number; about: string } & Schedule): Measure {
  const bareName = `${name}-bare`;
  return {
    ...schedule,
    name,
    about,
    figures: [
      { name, unit: "events/s", about, comparisons: [{ with: bareName, bar: { atLeast: 0.6 } }] },
      {
        name: bareName,
        unit: "events/s",
        about: "ceiling: a bare grpc-js server writes as many frames of the same size to the same clients",
      },
    ],
    async prepare({ spoolAddress, bareAddress }) {
      const spool = connect({ address: spoolAddress });
      const bare = new Client(bareAddress, credentials.createInsecure());
      return {
        async run() {
          const live = await fromSpool(spool, { address: spoolAddress, events });
          if (live.events !== FOLLOWERS * tapeLength(events)) throw new Error(`${live.events} events came`);
          const ceiling = await fromBare(bare, bareAddress, live);
          return { [name]: live.perSecond, [bareName]: ceiling.perSecond };
        },
        close() {
          spool.close();
          bare.close();
        },
      };
    },
  };
}

async function fromSpool(
  client: SpoolClient,
  { address, events }: { address: string; events: number },
): Promise<FannedOut> {
  const { taskIds, open } = await startGated(client, { tasks: 1, events });
  return deliver({ address, path: STREAM_EVENTS, request: followRequest(taskIds[0]!) }, open);
}

/** @param like what Spool sent: it cuts frames as its events come, so their size is known only then */
async function fromBare(client: Client, address: string, like: Arrived): Promise<FannedOut> {
  const events = Math.round(like.events / like.frames);
  const order: StreamRequest = { frames: Math.round(like.events / FOLLOWERS / events), events, waits: true };
  const request = Buffer.from(JSON.stringify(order)).toString("base64");
  return deliver({ address, path: STREAM.path, request }, () => callEmpty(client, RELEASE));
}

/** @param open lets the events go, once everybody is there */
async function deliver(
  { request, ...order }: Pick<FollowOrder, "address" | "path"> & { request: string },
  open: () => Promise<unknown>,
): Promise<FannedOut> {
  const requests = Array.from({ length: FOLLOWERS }, () => request);
  await using followers = await openFollowers({ ...order, requests, connections: CONNECTIONS });
  const startedAt = performance.now();
  const [arrived] = await Promise.all([followers.arrived(), open()]);
  return { ...arrived, perSecond: perSecond(arrived.events, startedAt) };
}
