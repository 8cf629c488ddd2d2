import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { StreamEventsResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { STREAM } from "../bare-service.ts";
import type { StreamRequest } from "../bare-service.ts";
import type { Measure } from "../measure.ts";
import { perSecond } from "../rate.ts";

const decodeFrame = (bytes: Buffer) => void fromBinary(StreamEventsResponseSchema, bytes);
const leaveEncoded = () => {};

export const grpcStream = bareStream({
  name: "grpc-stream",
  about: "ceiling: a bare grpc-js stream of frames of 1,000 encoded events, decoded by the client",
  streams: 1,
  request: { frames: 500, events: 1_000 },
  read: decodeFrame,
});

export const grpcStreamBytes = bareStream({
  name: "grpc-stream-bytes",
  about: "ceiling: the same stream, not decoded by the client",
  streams: 1,
  request: { frames: 1_500, events: 1_000 },
  read: leaveEncoded,
});

export const grpcStream16 = bareStream({
  name: "grpc-stream-16",
  about: "ceiling: 16 such streams at once of frames of 64 events, decoded by the client",
  streams: 16,
  request: { frames: 500, events: 64 },
  read: decodeFrame,
});

function bareStream({
  name,
  about,
  streams,
  request,
  read,
}: {
  name: string;
  about: string;
  streams: number;
  request: StreamRequest;
  read: (frame: Buffer) => void;
}): Measure {
  return {
    name,
    unit: "events/s",
    about,
    async prepare({ bareAddress }) {
      const client = new Client(bareAddress, credentials.createInsecure());
      const { path, requestSerialize, responseDeserialize } = STREAM;
      const follow = async (frames: number) => {
        const bytes = Buffer.from(JSON.stringify({ ...request, frames }));
        const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, bytes);
        for await (const frame of call as AsyncIterable<Buffer>) read(frame);
      };
      const all = (frames: number) => Promise.all(Array.from({ length: streams }, () => follow(frames)));
      await all(Math.ceil(request.frames / 10));
      return {
        async run() {
          const startedAt = performance.now();
          await all(request.frames);
          return perSecond(streams * request.frames * request.events, startedAt);
        },
        close: () => client.close(),
      };
    },
  };
}
