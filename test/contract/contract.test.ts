import { openClientDoor, openWorkerDoor } from "./client-door.ts";
import type { Door } from "./door.ts";
import { openEngineDoor } from "./engine-door.ts";
import { followContract } from "./follow-contract.ts";
import { openGrpcDoor } from "./grpc-door.ts";
import { openGrpcWebDoor } from "./grpc-web-door.ts";
import { openJsonDoor, openSseDoor } from "./json-door.ts";
import { sessionContract } from "./session-contract.ts";
import { tapeContract } from "./tape-contract.ts";
import { taskContract } from "./task-contract.ts";

/** Every way in. What docs/guarantees.md promises holds at each. */
const DOORS = {
  "the engine": openEngineDoor,
  gRPC: openGrpcDoor,
  "gRPC-Web": openGrpcWebDoor,
  "Connect with JSON": openJsonDoor,
  "server-sent events": openSseDoor,
  "the client": openClientDoor,
  "the client, with a worker": openWorkerDoor,
};

for (const [name, open] of Object.entries(DOORS)) {
  describe(`at the door of ${name}`, () => {
    let door: Door;
    before(async () => {
      door = await open();
    });
    after(() => door?.[Symbol.asyncDispose]());

    describe("tape", () => tapeContract(() => door));
    describe("task", () => taskContract(() => door));
    describe("tasks", () => followContract(() => door));
    if (open !== openWorkerDoor) describe("session", () => sessionContract(() => door));
  });
}
