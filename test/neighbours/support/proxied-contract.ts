import { openClientEndpoint } from "../../contract/client-endpoint.ts";
import type { Endpoint } from "../../contract/endpoint.ts";
import { followContract } from "../../contract/follow-contract.ts";
import { openGrpcEndpoint } from "../../contract/grpc-endpoint.ts";
import { openGrpcWebEndpoint } from "../../contract/grpc-web-endpoint.ts";
import { openJsonEndpoint, openSseEndpoint } from "../../contract/json-endpoint.ts";
import type { Served } from "../../contract/served.ts";
import { tapeContract } from "../../contract/tape-contract.ts";

type Open = (served: Served) => Promise<Endpoint>;

/** The ways into Spool that lead over a network. */
const WAYS: Record<string, Open> = {
  gRPC: openGrpcEndpoint,
  "gRPC-Web": openGrpcWebEndpoint,
  "Connect with JSON": openJsonEndpoint,
  "server-sent events": openSseEndpoint,
};

/**
 * Runs what docs/guarantees.md promises of tapes and of streams over many tasks through a proxy, by each protocol. The
 * task whose followers are to see each event while it runs waits until they have seen the one before: a proxy that
 * gathers a stream fails it.
 *
 * @param served a server, by the addresses that the proxy gives it
 */
export function proxiedContract(served: () => Served): void {
  for (const [name, open] of Object.entries(WAYS)) contractBy(name, open, served);
}

/** The same by `@spooltape/client`, for a server whose tasks run at a worker that is behind the proxy too. */
export function proxiedWorkerContract(served: () => Served): void {
  contractBy("gRPC, with a worker", openClientEndpoint, served);
}

function contractBy(name: string, open: Open, served: () => Served): void {
  describe(`by ${name},`, () => {
    let endpoint: Endpoint;
    before(async () => {
      // The server is its owner's to end.
      endpoint = await open({ ...served(), async [Symbol.asyncDispose]() {} });
    });
    after(() => endpoint[Symbol.asyncDispose]());

    tapeContract(() => endpoint);
    followContract(() => endpoint);
  });
}
