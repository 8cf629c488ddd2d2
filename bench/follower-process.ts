// Follows streams in a process of its own. Started by followers.ts, which tells it what to open, and without which it
// ends. It does not decode what it gets: its clients are the same for every server, and are to be no bottleneck.

import { once } from "node:events";
import { Client, credentials } from "@grpc/grpc-js";
import type { Arrived, FollowOrder } from "./followers.ts";

/** Of the protobuf wire format. */
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** `repeated Event events = 1`. */
const EVENTS = 1;

process.on("disconnect", () => process.exit());
const [order] = (await once(process, "message")) as [FollowOrder];
await follow(order);

async function follow({ address, path, requests, connections, openAtOnce }: FollowOrder): Promise<void> {
  // Its own pool of connections: clients of one address would share one.
  const clients = Array.from(
    { length: connections },
    () => new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 }),
  );
  const arrived: Arrived = { events: 0, frames: 0 };
  const open = (request: string, index: number) => {
    const client = clients[index % connections]!;
    const call = client.makeServerStreamRequest(path, asIs, asIs, Buffer.from(request, "base64"));
    const opened = once(call, "data");
    call.on("data", (frame: Buffer) => {
      arrived.frames++;
      arrived.events += countEvents(frame);
    });
    return { opened, ended: once(call, "end") };
  };
  const streams: Promise<unknown>[] = [];
  const rest = requests.entries();
  const openRest = async () => {
    for (const [index, request] of rest) {
      const { opened, ended } = open(request, index);
      streams.push(ended);
      await opened;
    }
  };
  await Promise.all(Array.from({ length: openAtOnce ?? requests.length }, openRest));
  const ended = Promise.all(streams);
  process.send!("opened");
  await ended;
  process.send!(arrived);
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

/** How many events a frame holds. Each of its fields has a number below 16: its tag is one byte. */
function countEvents(frame: Buffer): number {
  let count = 0;
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = frame[at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < frame.length) {
    const tag = frame[at++]!;
    const [field, type] = [tag >> 3, tag & 7];
    if (type !== VARINT && type !== LENGTH_DELIMITED) throw new Error(`a field of type ${type}`);
    const value = varint();
    if (type === LENGTH_DELIMITED) at += value;
    if (field === EVENTS) count++;
  }
  return count;
}
