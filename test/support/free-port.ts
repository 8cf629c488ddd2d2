import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { eventually } from "./eventually.ts";

/**
 * A port of 127.0.0.1 that nobody listens on, below those that outgoing connections are given: while a server is down,
 * a client that retries must not be given its port, and so connect to itself and keep the server from coming back.
 */
export async function freePort(): Promise<number> {
  return eventually(async () => {
    const port = randomInt(20_000, 30_000);
    const listener = createServer().listen(port, "127.0.0.1");
    await once(listener, "listening");
    listener.close();
    await once(listener, "close");
    return port;
  });
}
