import { Client, credentials } from "@grpc/grpc-js";
import { EMPTY } from "../bare-service.ts";
import { single } from "../measure.ts";
import { rateOf } from "../rate.ts";
import { callEmpty } from "./empty-call.ts";

export const grpcUnary = single({
  name: "grpc-unary",
  unit: "calls/s",
  about: "ceiling: empty unary calls between two bare grpc-js processes, 64 at once",
  async prepare({ bareAddress }) {
    const client = new Client(bareAddress, credentials.createInsecure());
    const work = () => callEmpty(client, EMPTY);
    await rateOf(work, { times: 2_000, atOnce: 64 });
    return { run: () => rateOf(work, { times: 10_000, atOnce: 64 }), close: () => client.close() };
  },
});
