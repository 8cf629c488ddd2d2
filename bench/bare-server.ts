// Serves the bare service in a process of its own, as Spool's server is one. Started by servers.ts, which it tells its
// port, and without which it ends.

import { once } from "node:events";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { EMPTY, encodedTape, RELEASE, STREAM } from "./bare-service.ts";
import type { StreamRequest } from "./bare-service.ts";

const NOTHING = Buffer.alloc(0);

const tapes = new Map<string, readonly Buffer[]>();
let release = Promise.withResolvers<void>();

function tapeOf({ frames, events }: StreamRequest): readonly Buffer[] {
  const shape = `${frames} × ${events}`;
  const tape = tapes.get(shape) ?? encodedTape({ frames, events });
  tapes.set(shape, tape);
  return tape;
}

async function stream(call: ServerWritableStream<Buffer, Buffer>): Promise<void> {
  const request = JSON.parse(call.request.toString()) as StreamRequest;
  if (request.waits) {
    const { promise } = release;
    call.write(NOTHING);
    await promise;
  }
  for (const frame of tapeOf(request)) {
    if (!call.write(frame)) await once(call, "drain");
  }
  call.end();
}

const server = new Server({ "grpc.enable_channelz": 0 });
server.addService(
  { empty: EMPTY, stream: STREAM, release: RELEASE },
  {
    empty: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => answer(null, NOTHING),
    stream: (call: ServerWritableStream<Buffer, Buffer>) => void stream(call).catch((error) => call.destroy(error)),
    release: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      release.resolve();
      release = Promise.withResolvers();
      answer(null, NOTHING);
    },
  },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.send!(port);
});
process.on("disconnect", () => process.exit());
