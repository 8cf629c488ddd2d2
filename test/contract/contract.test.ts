import { openClientEndpoint, openWebClientEndpoint, openWorkerEndpoint } from "./client-endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { openEngineEndpoint } from "./engine-endpoint.ts";
import { followContract } from "./follow-contract.ts";
import { openGrpcEndpoint } from "./grpc-endpoint.ts";
import { openGrpcWebEndpoint } from "./grpc-web-endpoint.ts";
import { openJsonEndpoint, openSseEndpoint } from "./json-endpoint.ts";
import { removalContract } from "./removal-contract.ts";
import { seriesContract } from "./series-contract.ts";
import { sessionContract } from "./session-contract.ts";
import { tapeContract } from "./tape-contract.ts";
import { taskContract } from "./task-contract.ts";

/** All endpoints. The promises of docs/guarantees.md hold at each of them. */
const ENDPOINTS = {
  "the engine": openEngineEndpoint,
  gRPC: openGrpcEndpoint,
  "gRPC-Web": openGrpcWebEndpoint,
  "Connect with JSON": openJsonEndpoint,
  "server-sent events": openSseEndpoint,
  "the client": openClientEndpoint,
  "the client for the web": openWebClientEndpoint,
  "the client, with a worker": openWorkerEndpoint,
};

for (const [name, open] of Object.entries(ENDPOINTS)) {
  describe(`through ${name},`, () => {
    let endpoint: Endpoint;
    before(async () => {
      endpoint = await open();
    });
    after(() => endpoint?.[Symbol.asyncDispose]());

    tapeContract(() => endpoint);
    taskContract(() => endpoint);
    followContract(() => endpoint);
    removalContract(() => endpoint);
    seriesContract(() => endpoint);
    if (open !== openWorkerEndpoint) sessionContract(() => endpoint);
  });
}
