import { fromBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { StreamEventsResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import { STREAM } from "../bare-service.ts";
import type { StreamRequest } from "../bare-service.ts";
import { single } from "../measure.ts";
import type { Measure } from "../measure.ts";
import { perSecond } from "../rate.ts";

const decodeFrame = (bytes: Buffer) => void fromBinary(StreamEventsResponseSchema, bytes);
const leaveEncoded = () => {};

export const grpcStream = bareStream({
  name: "grpc-stream",
  about: "ceiling: a bare grpc-js stream of 200,000 encoded events, 1,000 a frame, decoded by the client",
  streams: 1,
  request: { frames: 200, events: 1_000 },
  times: 2,
  read: decodeFrame,
});

export const grpcStreamBytes = bareStream({
  name: "grpc-stream-bytes",
  about: "ceiling: the same stream, not decoded by the client",
  streams: 1,
  request: { frames: 200, events: 1_000 },
  times: 20,
  read: leaveEncoded,
});

export const grpcStream16 = bareStream({
  name: "grpc-stream-16",
  about: "ceiling: 16 such streams at once of frames of 64 events, decoded by the client",
  streams: 16,
  request: { frames: 500, events: 64 },
  times: 1,
  read: decodeFrame,
});

function bareStream({
  name,
  about,
  streams,
  request,
  times,
  read,
}: {
  name: string;
  about: string;
  streams: number;
  request: StreamRequest;
  /** How often it is read, one after the other: it may be over in no time. */
  times: number;
  read: (frame: Buffer) => void;
}): Measure {
  return single({
    name,
    unit: "events/s",
    about,
    async prepare({ bareAddress }) {
      const client = new Client(bareAddress, credentials.createInsecure());
      const { path, requestSerialize, responseDeserialize } = STREAM;
      const bytes = Buffer.from(JSON.stringify(request));
      const follow = async () => {
        const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, bytes);
        for await (const frame of call as AsyncIterable<Buffer>) read(frame);
      };
      const all = () => Promise.all(Array.from({ length: streams }, follow));
      await all();
      return {
        async run() {
          const startedAt = performance.now();
          for (let time = 1; time <= times; time++) await all();
          return perSecond(times * streams * request.frames * request.events, startedAt);
        },
        close: () => client.close(),
      };
    },
  });
}
