// Serves the bare service in a process of its own, as Spool's server is one. Started by servers.ts, which it tells its
// port, and without which it ends.

import { once } from "node:events";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { EMPTY, encodedFrame, STREAM } from "./bare-service.ts";
import type { StreamRequest } from "./bare-service.ts";

const NOTHING = Buffer.alloc(0);

const frames = new Map<number, Buffer>();

async function stream(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  const { frames: count, events } = JSON.parse(call.request.toString()) as StreamRequest;
  const frame = frames.get(events) ?? encodedFrame(events);
  frames.set(events, frame);
  for (let sent = 0; sent < count; sent++) {
    if (!call.write(frame)) await once(call, "drain");
  }
  call.end();
}

const server = new Server({ "grpc.enable_channelz": 0 });
server.addService(
  { empty: EMPTY, stream: STREAM },
  {
    empty: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, NOTHING),
    stream: (call: ServerWritableStream<Buffer, Buffer>) => void stream(call).catch((error) => call.destroy(error)),
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send!(port);
});
process.on("disconnect", () => process.exit());
