import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { CuttingRelay } from "./cutting-relay.ts";

describe("a cutting relay", () => {
  it("passes on what it delays, whole and in order, also after the delay is over", async () => {
    await using echo = await startEcho();
    await using relay = await CuttingRelay.open([echo.address]);
    const socket = connectTo(relay.address);
    const sent = ["one", "two", "three"];
    relay.delayMs = 30;
    socket.write(sent[0]!);
    await new Promise(setImmediate);
    socket.write(sent[1]!);
    relay.delayMs = 0;
    socket.write(sent[2]!);
    let received = "";
    for await (const chunk of socket) {
      received += String(chunk);
      if (received.length === sent.join("").length) break;
    }
    assert.equal(received, sent.join(""));
  });

  it("resets the connections that it has silenced when the silence ends", async () => {
    await using echo = await startEcho();
    await using relay = await CuttingRelay.open([echo.address]);
    const socket = connectTo(relay.address);
    socket.write("used");
    await once(socket, "data");
    assert.ok(relay.cut("silent"));
    const reset = once(socket, "error");
    relay.endSilence();
    const [error] = (await reset) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
  });
});

function connectTo(address: string) {
  const { port, hostname } = new URL(`tcp://${address}`);
  return connect(Number(port), hostname);
}

/** A server that sends back what it receives. */
async function startEcho(): Promise<{ address: string } & AsyncDisposable> {
  const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}
