import { pino } from "pino";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { openGrpcDoor } from "../../src/server/grpc-door.ts";
import { aTask, fakeEngine, TASK_ID } from "../rpc/fake-engine.ts";
import { RawClient } from "../rpc/raw-client.ts";
const { startTask } = TaskService.method;
describe("dbg", () => {
  it("big", async () => {
    const door = await openGrpcDoor({ engine: fakeEngine({}), host: "127.0.0.1", port: 0, log: pino() });
    const client = new RawClient(door.port);
    for (const n of [1000, 4*1024*1024 - 100, 4*1024*1024]) {
      const len = n - 5; const b: number[] = []; let l = len; while (l > 0x7f) { b.push((l & 0x7f) | 0x80); l >>>= 7; } b.push(l);
      const req = Buffer.concat([Buffer.of(0x0a, ...b), Buffer.alloc(len, "k")]);
      await client.unary(startTask, req).catch((e) => console.log(n, req.length, String(e).slice(0, 300)));
    }
    client[Symbol.dispose]();
    await door.close({ graceMs: 0 });
  });
  it("force", async () => {
    const s = Promise.withResolvers<void>();
    const door = await openGrpcDoor({ engine: fakeEngine({ startTask() { s.resolve(); return new Promise(() => {}); } }), host: "127.0.0.1", port: 0, log: pino() });
    const client = new RawClient(door.port);
    const r = client.unary(startTask, { kind: "echo" }).then(() => console.log("ok"), (e) => console.log("err", String(e)));
    await s.promise;
    console.log("closing");
    const c = door.close({ graceMs: 20 }).then(() => console.log("closed"));
    await r;
    console.log("r");
    await Promise.race([c, new Promise((x) => setTimeout(x, 2000))]);
    client[Symbol.dispose]();
    await Promise.race([c, new Promise((x) => setTimeout(x, 2000))]);
  });
});
