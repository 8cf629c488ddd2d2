import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { pick } from "./scenario.ts";

/**
 * How a connection is cut. `reset`: both ends are told; `torn`: so they are, in the middle of what next passes; the
 * silent ones: what is sent is swallowed and the connection stays open, at both ends, or at the one that is named while
 * the other is told.
 */
export const CUT_MANNERS = ["reset", "torn", "silent", "silent to the server", "silent to the worker"] as const;
export type CutManner = (typeof CUT_MANNERS)[number];

/** A way over TCP on 127.0.0.1 to one of several servers, another with each connection, whose connections can be cut. */
export class CuttingRelay implements AsyncDisposable {
  readonly #addresses: readonly string[];
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Connection>();

  private constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
    this.#listener = createServer({ noDelay: true }, (client) => this.#relay(client));
  }

  static async open(addresses: readonly string[]): Promise<CuttingRelay> {
    const relay = new CuttingRelay(addresses);
    relay.#listener.listen(0, "127.0.0.1");
    await once(relay.#listener, "listening");
    return relay;
  }

  get address(): string {
    return `127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Cuts one of the connections that are in use, at random. @returns false: there is none */
  cut(manner: CutManner): boolean {
    const usable = [...this.#connections].filter(({ isInUse }) => isInUse);
    if (usable.length === 0) return false;
    pick(usable).cut(manner);
    return true;
  }

  #relay(client: Socket): void {
    const { port } = new URL(`tcp://${pick(this.#addresses)}`);
    const upstream = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
    const connection = new Connection(client, upstream, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#listener, "close");
  }
}

class Connection {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #onOver: () => void;
  #cut: CutManner | null = null;
  /** Whether something has come from the server: the stream is likely to be there, or about to be. */
  #hasAnswered = false;
  #isOver = false;

  constructor(client: Socket, upstream: Socket, onOver: () => void) {
    this.#client = client;
    this.#upstream = upstream;
    this.#onOver = onOver;
    client.on("data", (data) => this.#pass(data, upstream));
    upstream.on("data", (data) => {
      this.#hasAnswered = true;
      this.#pass(data, client);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.on("error", () => {}); // Its close says so too.
      socket.on("drain", () => other.resume());
      socket.on("close", () => {
        this.#over();
        // Who is cut off without a word is not told of the other's end either.
        if (this.#cut === null || this.#cut === "torn") other.destroy();
      });
    }
  }

  get isInUse(): boolean {
    return this.#hasAnswered && this.#cut === null && !this.#isOver;
  }

  cut(manner: CutManner): void {
    this.#cut = manner;
    if (manner === "torn") return; // With the next that passes.
    this.#over();
    if (manner === "reset" || manner === "silent to the server") reset(this.#client);
    if (manner === "reset" || manner === "silent to the worker") reset(this.#upstream);
    // Paused by a full buffer they would not be read, which says something as well.
    for (const socket of [this.#client, this.#upstream]) socket.resume();
  }

  #pass(data: Buffer, to: Socket): void {
    if (this.#cut === null) {
      if (!to.write(data)) (to === this.#client ? this.#upstream : this.#client).pause();
    } else if (this.#cut === "torn") {
      this.#over();
      to.end(data.subarray(0, Math.floor(Math.random() * data.length)));
      reset(to === this.#client ? this.#upstream : this.#client);
    }
  }

  #over(): void {
    this.#isOver = true;
    this.#onOver();
  }
}

/** A socket that is reset while its end is under way stays open for good, and its process then never exits: Node 24. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
