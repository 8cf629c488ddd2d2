import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** A way to a server on 127.0.0.1 that can be cut. */
export interface TcpProxy extends AsyncDisposable {
  readonly address: string;
  /** Resets every connection that is open. @returns how many */
  cut(): number;
  /** From now on nothing that is sent arrives, either way, though every connection stays open; new ones work. */
  silence(): void;
  /** So it will be with the next connection that is made, from its beginning. */
  silenceNext(): void;
}

/** @param target `127.0.0.1:port`; asked for each connection, so that it may change */
export async function startTcpProxy(target: () => string): Promise<TcpProxy> {
  const open = new Map<Socket, { isSilent: boolean }>();
  let isNextSilent = false;
  const server = createServer((client) => {
    const [host, port] = target().split(":");
    const upstream = connect(Number(port), host);
    const way = { isSilent: isNextSilent };
    isNextSilent = false;
    open.set(client, way);
    const close = () => {
      open.delete(client);
      for (const socket of [client, upstream]) {
        // One that is reset while its end is under way would keep its process from exiting.
        if (socket.writableEnded) socket.destroy();
        else socket.resetAndDestroy();
      }
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("data", (bytes) => way.isSilent || to.write(bytes));
      from.on("error", close).on("close", close);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut() {
      const count = open.size;
      for (const client of open.keys()) client.destroy();
      return count;
    },
    silence() {
      for (const way of open.values()) way.isSilent = true;
    },
    silenceNext() {
      isNextSilent = true;
    },
    async [Symbol.asyncDispose]() {
      for (const client of open.keys()) client.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
