import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/**
 * How a connection is cut. `reset`: both ends are told; `torn`: so they are, in the middle of what next passes; the
 * silent ones: what is sent is swallowed and the connection stays open, at both ends, or at the one that is named while
 * the other is told.
 */
export const CUT_MANNERS = ["reset", "torn", "silent", "silent to the server", "silent to the worker"] as const;
export type CutManner = (typeof CUT_MANNERS)[number];

/** A way over TCP from 127.0.0.1 to one of several servers, another with each connection, whose connections can be cut. */
export class CuttingRelay implements AsyncDisposable {
  /** How long what is sent takes, in ms, either way. 0: it is passed on at once. */
  delayMs = 0;
  readonly #addresses: readonly string[];
  readonly #random: () => number;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Set<Connection>();
  readonly #silent = new Set<Connection>();

  private constructor(addresses: readonly string[], random: () => number) {
    this.#addresses = addresses;
    this.#random = random;
    this.#listener = createServer({ noDelay: true }, (client) => this.#relay(client));
  }

  /** @param random from 0 to below 1, for all that the relay chooses */
  static async open(addresses: readonly string[], random: () => number = Math.random): Promise<CuttingRelay> {
    const relay = new CuttingRelay(addresses, random);
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
    const connection = this.#pick(usable);
    connection.cut(manner);
    if (manner.startsWith("silent")) this.#silent.add(connection);
    return true;
  }

  /** Resets the connections that were made silent, so that both ends notice. */
  endSilence(): void {
    for (const connection of this.#silent) connection.reset();
    this.#silent.clear();
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  #relay(client: Socket): void {
    const { port, hostname: host } = new URL(`tcp://${this.#pick(this.#addresses)}`);
    const upstream = connect({ port: Number(port), host, noDelay: true });
    const connection = new Connection(client, upstream, {
      onOver: () => this.#connections.delete(connection),
      delayMs: () => this.delayMs,
      random: this.#random,
    });
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

interface ConnectionOptions {
  onOver: () => void;
  delayMs: () => number;
  random: () => number;
}

class Connection {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #options: ConnectionOptions;
  /** What is delayed, in order, with when it is due. */
  readonly #delayed: { data: Buffer; to: Socket; dueAt: number }[] = [];
  #cut: CutManner | null = null;
  /** Whether something has come from the server: the stream is likely to be there, or about to be. */
  #hasAnswered = false;
  #isOver = false;

  constructor(client: Socket, upstream: Socket, options: ConnectionOptions) {
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    client.on("data", (data) => this.#take(data, upstream));
    upstream.on("data", (data) => {
      this.#hasAnswered = true;
      this.#take(data, client);
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

  reset(): void {
    for (const socket of [this.#client, this.#upstream]) reset(socket);
  }

  #take(data: Buffer, to: Socket): void {
    const delayMs = this.#options.delayMs();
    if (delayMs === 0 && this.#delayed.length === 0) return this.#pass(data, to);
    this.#delayed.push({ data, to, dueAt: performance.now() + delayMs });
    if (this.#delayed.length === 1) this.#passLater();
  }

  #passLater(): void {
    const [first] = this.#delayed;
    if (first === undefined) return;
    setTimeout(
      () => {
        this.#delayed.shift();
        this.#pass(first.data, first.to);
        this.#passLater();
      },
      Math.max(0, first.dueAt - performance.now()),
    );
  }

  #pass(data: Buffer, to: Socket): void {
    if (this.#cut === null) {
      if (!to.write(data)) (to === this.#client ? this.#upstream : this.#client).pause();
    } else if (this.#cut === "torn") {
      this.#over();
      to.end(data.subarray(0, Math.floor(this.#options.random() * data.length)));
      reset(to === this.#client ? this.#upstream : this.#client);
    }
  }

  #over(): void {
    this.#isOver = true;
    this.#options.onOver();
  }
}

/** A socket that is reset while its end is under way stays open for good, and its process then never exits: Node 24. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
