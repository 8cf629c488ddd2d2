import { pino } from "pino";
import { openGrpcDoor } from "../../src/server/grpc-door.ts";
import { startEngine } from "../support/engines.ts";
import { Stage } from "../support/stage.ts";
import { openPostgres } from "../support/stores.ts";

/** A server on a free port of 127.0.0.1, in this process so that the test plays the code of its tasks. */
export interface Served extends AsyncDisposable {
  readonly address: string;
  readonly stage: Stage;
}

export async function openServed(): Promise<Served> {
  const store = await openPostgres();
  const stage = new Stage();
  const engine = await startEngine(store, { kinds: [stage.kind] });
  const log = pino({ level: process.env.SPOOL_LOG_LEVEL ?? "silent" });
  const door = await openGrpcDoor({ engine, host: "127.0.0.1", port: 0, log });
  return {
    address: `127.0.0.1:${door.port}`,
    stage,
    async [Symbol.asyncDispose]() {
      await door.close({ graceMs: 1_000 });
      await engine[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
