import { connect } from "../../src/client/client.ts";
import { STREAM } from "../bare-service.ts";
import type { StreamRequest } from "../bare-service.ts";
import { openFollowers } from "../followers.ts";
import type { FollowOrder } from "../followers.ts";
import { burst } from "../kinds.ts";
import type { Measure } from "../measure.ts";
import { settledKib } from "../memory.ts";
import type { Servers } from "../servers.ts";
import { quantile } from "../statistics.ts";
import { followRequest, STREAM_EVENTS } from "./gated-tasks.ts";
import { sampleDelays } from "./delays.ts";

const FOLLOWERS = 10_000;
const TASKS = 100;
const CONNECTIONS = 20;
/** Open before the first measurement: their code is compiled, and what a server keeps once is there. */
const FIRST = 500;
const WAKES = 1_000;
const WAKES_PER_SECOND = 100;
const DAY_MS = 24 * 60 * 60 * 1_000;

export const waitingFollowers: Measure = {
  name: "waiting-followers",
  about: "10,000 followers wait on 100 quiet tapes of a fresh server, at most 3 times",
  only: "heavy",
  roundsMax: 3,
  figures: [
    {
      name: "waiting-followers",
      unit: "KiB",
      about: "the server's memory for each of 10,000 followers who wait on 100 quiet tapes",
      comparisons: [{ with: "waiting-bare" }],
      bar: { atMost: 32 },
    },
    {
      name: "waiting-bare",
      unit: "KiB",
      about: "ceiling: the memory of a bare grpc-js server for each of 10,000 streams on which it has sent a frame",
    },
    {
      name: "waiting-wake-p99",
      unit: "ms",
      about: "from emit to a follower that waits beside them, of 1,000 events at 100 a second, p99",
      bar: { atMost: 10 },
    },
  ],
  async prepare({ startSpool, startBare }, size) {
    return {
      async run() {
        const spool = await measureSpool(startSpool, size(FOLLOWERS), size(WAKES));
        return { ...spool, "waiting-bare": await measureBare(startBare, size(FOLLOWERS)) };
      },
      close() {},
    };
  },
};

async function measureSpool(startSpool: Servers["startSpool"], followers: number, wakes: number) {
  await using spool = await startSpool();
  using client = connect({ address: spool.address });
  const runAt = new Date(Date.now() + DAY_MS);
  const start = () => client.start({ kind: burst.name, params: { events: 0 }, runAt });
  const tasks = await Promise.all(Array.from({ length: TASKS }, start));
  const requests = tasks.map(({ task }) => followRequest(task.taskId));
  await sampleDelays(client, { events: wakes, perSecond: WAKES_PER_SECOND });
  await using waiting = await openWaiting(
    spool.pid,
    { address: spool.address, path: STREAM_EVENTS, requests },
    followers,
  );
  const delays = await sampleDelays(client, { events: wakes, perSecond: WAKES_PER_SECOND });
  return { "waiting-followers": waiting.kibEach, "waiting-wake-p99": quantile(delays, 0.99) };
}

async function measureBare(startBare: Servers["startBare"], followers: number): Promise<number> {
  await using bare = await startBare();
  const request: StreamRequest = { frames: 0, events: 0, waits: true };
  const requests = [Buffer.from(JSON.stringify(request)).toString("base64")];
  await using waiting = await openWaiting(bare.pid, { address: bare.address, path: STREAM.path, requests }, followers);
  return waiting.kibEach;
}

/** @param requests of which the followers have one each, in turn */
async function openWaiting(
  pid: number,
  { requests, ...order }: Pick<FollowOrder, "address" | "path" | "requests">,
  followers: number,
): Promise<AsyncDisposable & { kibEach: number }> {
  const open = (count: number) =>
    openFollowers({
      ...order,
      requests: Array.from({ length: count }, (_, index) => requests[index % requests.length]!),
      connections: CONNECTIONS,
    });
  await (await open(FIRST))[Symbol.asyncDispose]();
  const before = await settledKib(pid);
  const waiting = await open(followers);
  const kibEach = ((await settledKib(pid)) - before) / followers;
  return { kibEach, [Symbol.asyncDispose]: () => waiting[Symbol.asyncDispose]() };
}
