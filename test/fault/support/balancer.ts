import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { HealthProbe } from "./health-probe.ts";

/** A server on the balancer's list. */
export interface Backend {
  readonly address: string;
  readonly probe: HealthProbe;
  /** Takes it off the list: no new connection goes there, those that are there go on. */
  retire(): void;
}

/** A connection that a client has made. */
export interface Connection {
  /** Where it went; null: it was refused, for no server was ready or the one that seemed so was not there. */
  backend: Backend | null;
}

/** Where one client connects: an address of its own, so that its connections can be told from the others'. */
export interface Entrance {
  readonly address: string;
  /** In the order in which they were made. */
  readonly connections: readonly Connection[];
}

/**
 * A load balancer over TCP on 127.0.0.1, before servers that it asks of their health: each new connection goes to the
 * next of those that are serving. A connection stays where it is until one of its ends closes it.
 */
export class Balancer implements AsyncDisposable {
  readonly #backends: (Backend & { isRetired: boolean })[] = [];
  readonly #listeners: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  /** Puts a server on the list. One that is started anew is a server of its own. */
  add(address: string): Backend {
    const backend = {
      address,
      probe: new HealthProbe(address),
      isRetired: false,
      retire() {
        backend.isRetired = true;
      },
    };
    this.#backends.push(backend);
    return backend;
  }

  /** Opens an entrance for one client. */
  async open(): Promise<Entrance> {
    const connections: Connection[] = [];
    const listener = createServer((client) => this.#forward(client, connections)).listen(0, "127.0.0.1");
    this.#listeners.push(listener);
    await once(listener, "listening");
    return { address: `127.0.0.1:${(listener.address() as AddressInfo).port}`, connections };
  }

  #forward(client: Socket, connections: Connection[]): void {
    const connection: Connection = { backend: this.#next() };
    connections.push(connection);
    this.#keep(client);
    if (connection.backend === null) {
      client.destroy();
      return;
    }
    const { port } = new URL(`tcp://${connection.backend.address}`);
    const upstream = connect(Number(port), "127.0.0.1");
    this.#keep(upstream);
    const onRefused = () => (connection.backend = null);
    upstream.once("error", onRefused).once("connect", () => upstream.off("error", onRefused));
    // What one end has sent before it closed still goes to the other.
    upstream.pipe(client);
    client.pipe(upstream);
    upstream.on("close", (hadError) => (hadError ? client.destroy() : client.end()));
    client.on("close", (hadError) => (hadError ? upstream.destroy() : upstream.end()));
  }

  #next(): Backend | null {
    const ready = this.#backends.filter(({ isRetired, probe }) => !isRetired && probe.health === "serving");
    return ready[this.#turn++ % ready.length] ?? null;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket
      .setNoDelay(true)
      .on("error", () => {}) // Its close says so too.
      .on("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#backends.map(({ probe }) => probe.stop()));
  }
}
