import { openClientDoor } from "../../contract/client-door.ts";
import type { Door } from "../../contract/door.ts";
import { followContract } from "../../contract/follow-contract.ts";
import { openGrpcDoor } from "../../contract/grpc-door.ts";
import { openGrpcWebDoor } from "../../contract/grpc-web-door.ts";
import { openJsonDoor, openSseDoor } from "../../contract/json-door.ts";
import type { Served } from "../../contract/served.ts";
import { tapeContract } from "../../contract/tape-contract.ts";

type Open = (served: Served) => Promise<Door>;

/** The ways into Spool that lead over a network. */
const WAYS: Record<string, Open> = {
  gRPC: openGrpcDoor,
  "gRPC-Web": openGrpcWebDoor,
  "Connect with JSON": openJsonDoor,
  "server-sent events": openSseDoor,
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

/** The same by `spool/client`, for a server whose tasks run at a worker that is behind the proxy too. */
export function proxiedWorkerContract(served: () => Served): void {
  contractBy("gRPC, with a worker", openClientDoor, served);
}

function contractBy(name: string, open: Open, served: () => Served): void {
  describe(`by ${name}`, () => {
    let door: Door;
    before(async () => {
      // The server is its owner's to end.
      door = await open({ ...served(), async [Symbol.asyncDispose]() {} });
    });
    after(() => door[Symbol.asyncDispose]());

    describe("tape", () => tapeContract(() => door));
    describe("tasks", () => followContract(() => door));
  });
}
