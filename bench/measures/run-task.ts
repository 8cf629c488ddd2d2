import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { RunTaskRequestSchema, RunTaskResponseSchema } from "../../src/gen/spool/v1/task_service_pb.ts";
import type { RunTaskResponse } from "../../src/gen/spool/v1/task_service_pb.ts";
import { burst } from "../kinds.ts";
import type { Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { tapeLength } from "./tapes.ts";

const EVENTS = 10;

export const runTask: Measure = {
  name: "run-task",
  unit: "tasks/s",
  about: "the same short tasks, each in one RunTask call of a bare grpc-js client",
  comparisons: [{ with: "short-tasks" }, { with: "grpc-unary" }],
  async prepare({ spoolAddress }) {
    const client = new Client(spoolAddress, credentials.createInsecure());
    const request = Buffer.from(
      toBinary(RunTaskRequestSchema, create(RunTaskRequestSchema, { kind: burst.name, params: { events: EVENTS } })),
    );
    const work = async () => {
      const call = client.makeServerStreamRequest(
        "/spool.v1.TaskService/RunTask",
        (bytes: Buffer) => bytes,
        decode,
        request,
      );
      let seen = 0;
      for await (const { events } of call as AsyncIterable<RunTaskResponse>) seen += events.length;
      if (seen !== tapeLength(EVENTS)) throw new Error(`a tape of ${seen} events`);
    };
    await rateOf(work, { times: 500, atOnce: 64 });
    return { run: () => rateOf(work, { times: 3_000, atOnce: 64 }), close: () => client.close() };
  },
};

function decode(bytes: Buffer): RunTaskResponse {
  return fromBinary(RunTaskResponseSchema, bytes);
}
