import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** What ends every answer of Postgres outside a transaction: ReadyForQuery, idle. */
const ANSWERED = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** A way to a database whose connections can be cut. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /**
   * Cuts the connection over which the next statement with this text in it goes, when the database has committed and
   * answered: the answer is lost. Resolves then. One is cut at a time.
   *
   * @param skip how many such statements are let through first; 0 where left out
   */
  cutAnswerTo(text: string, skip?: number): Promise<void>;
  /** The same for the commit of the next transaction with such a statement in it. */
  cutCommitOf(text: string): Promise<void>;
  /** Withdraws the order of a cut that has not been made yet. Its promise stays pending. */
  disarm(): void;
}

interface Order {
  text: string;
  skip: number;
  isCommit: boolean;
  done: PromiseWithResolvers<void>;
}

/**
 * Starts a proxy on 127.0.0.1 before a database.
 *
 * @param url of the database, or what returns it for each new connection: only host and port may change
 */
export async function startCuttingProxy(url: string | (() => string)): Promise<CuttingProxy> {
  const urlNow = typeof url === "string" ? () => url : url;
  const sockets = new Set<Socket>();
  let order: Order | null = null;
  const give = (wanted: Omit<Order, "done">) => {
    const done = Promise.withResolvers<void>();
    order = { ...wanted, done };
    return done.promise;
  };

  const server = createServer((client) => {
    const { hostname, port } = new URL(urlNow());
    const upstream = connect(Number(port), hostname);
    let committing: Order | null = null;
    let cut: PromiseWithResolvers<void> | null = null;
    let tail = Buffer.alloc(0);
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", close).on("close", () => {
        sockets.delete(socket);
        close();
      });
    }
    client.on("data", (data) => {
      if (committing !== null && data.includes("commit")) cut = committing.done;
      if (order !== null && data.includes(order.text) && order.skip-- === 0) {
        if (order.isCommit) committing = order;
        else cut = order.done;
        order = null;
      }
      upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (cut === null) return void client.write(data);
      tail = Buffer.concat([tail, data]).subarray(-ANSWERED.length);
      if (!tail.equals(ANSWERED)) return;
      close();
      cut.resolve();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxied = new URL(urlNow());
  proxied.port = String((server.address() as AddressInfo).port);
  return {
    url: proxied.href,
    cutAnswerTo: (text, skip = 0) => give({ text, skip, isCommit: false }),
    cutCommitOf: (text) => give({ text, skip: 0, isCommit: true }),
    disarm: () => void (order = null),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
