import { openClientEndpoint, openWorkerEndpoint } from "./client-endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { openEngineEndpoint } from "./engine-endpoint.ts";
import { followContract } from "./follow-contract.ts";
import { openGrpcEndpoint } from "./grpc-endpoint.ts";
import { openGrpcWebEndpoint } from "./grpc-web-endpoint.ts";
import { openJsonEndpoint, openSseEndpoint } from "./json-endpoint.ts";
import { sessionContract } from "./session-contract.ts";
import { tapeContract } from "./tape-contract.ts";
import { taskContract } from "./task-contract.ts";

/** Every way in. What docs/guarantees.md promises holds at each. */
const DOORS = {
  "the engine": openEngineEndpoint,
  gRPC: openGrpcEndpoint,
  "gRPC-Web": openGrpcWebEndpoint,
  "Connect with JSON": openJsonEndpoint,
  "server-sent events": openSseEndpoint,
  "the client": openClientEndpoint,
  "the client, with a worker": openWorkerEndpoint,
};

for (const [name, open] of Object.entries(DOORS)) {
  describe(`at the endpoint of ${name}`, () => {
    let endpoint: Endpoint;
    before(async () => {
      endpoint = await open();
    });
    after(() => endpoint?.[Symbol.asyncDispose]());

    describe("tape", () => tapeContract(() => endpoint));
    describe("task", () => taskContract(() => endpoint));
    describe("tasks", () => followContract(() => endpoint));
    if (open !== openWorkerEndpoint) describe("session", () => sessionContract(() => endpoint));
  });
}
