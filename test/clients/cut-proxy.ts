import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** A way to a server on 127.0.0.1 that can be cut. */
export interface CutProxy extends AsyncDisposable {
  readonly address: string;
  /** Ends every connection that is open. */
  cut(): void;
}

/** @param target `127.0.0.1:port` */
export async function startCutProxy(target: string): Promise<CutProxy> {
  const [host, port] = target.split(":");
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.pipe(to);
      from.on("error", close).on("close", () => {
        open.delete(from);
        close();
      });
    }
  });
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
