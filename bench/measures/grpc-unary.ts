import { Client, credentials } from "@grpc/grpc-js";
import { EMPTY } from "../bare-service.ts";
import type { Measure } from "../measure.ts";
import { rateOf } from "../rate.ts";

const NOTHING = Buffer.alloc(0);

export const grpcUnary: Measure = {
  name: "grpc-unary",
  unit: "calls/s",
  about: "ceiling: empty unary calls between two bare grpc-js processes, 64 at once",
  async prepare({ bareAddress }) {
    const client = new Client(bareAddress, credentials.createInsecure());
    const { path, requestSerialize, responseDeserialize } = EMPTY;
    const work = () =>
      new Promise<void>((resolve, reject) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, NOTHING, (error) =>
          error ? reject(error) : resolve(),
        );
      });
    await rateOf(work, { times: 2_000, atOnce: 64 });
    return { run: () => rateOf(work, { times: 10_000, atOnce: 64 }), close: () => client.close() };
  },
};
