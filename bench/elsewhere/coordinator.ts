import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import type { LoadDone, LoadOrder } from "../load/load.ts";

/** What a client gets when it asks what to do. */
export type Instruction = { order: LoadOrder } | { wait: true } | { over: true };

/** Has clients on other machines do work at the same time. Disposing sends them away. */
export interface Coordinator extends AsyncDisposable {
  readonly url: string;
  /** Resolves when all clients ask for work. */
  ready(): Promise<void>;
  /**
   * Gives all clients the order at once, when they are ready.
   *
   * @throws if one of them is not done long after it should be
   */
  run(order: LoadOrder & { until: { seconds: number } }): Promise<LoadDone[]>;
}

/** How long a client is kept waiting for an answer: shorter than the limits of clients and proxies. */
const ANSWER_MS = 20_000;
/** How much longer than its order a client may take, for what it has begun and for the way. */
const LATE_MS = 120_000;
const LEAVE_MS = 5_000;

interface Asking {
  answer(instruction: Instruction): void;
}

/** @param token that clients present */
export async function startCoordinator({
  host,
  clients,
  token,
}: {
  host: string;
  clients: number;
  token: string;
}): Promise<Coordinator> {
  const asking = new Set<Asking>();
  let allAsk = Promise.withResolvers<void>();
  let done: LoadDone[] = [];
  let allDone = Promise.withResolvers<void>();

  function ask(response: ServerResponse): void {
    const answer = (instruction: Instruction) => {
      clearTimeout(timer);
      asking.delete(one);
      response.setHeader("content-type", "application/json").end(JSON.stringify(instruction));
    };
    const one: Asking = { answer };
    const timer = setTimeout(() => answer({ wait: true }), ANSWER_MS);
    response.on("close", () => {
      clearTimeout(timer);
      asking.delete(one);
    });
    asking.add(one);
    if (asking.size === clients) allAsk.resolve();
  }

  const server = createServer((request, response) => {
    if (!isAllowed(request, token)) response.writeHead(401).end();
    else if (request.url === "/work") ask(response);
    else if (request.url === "/done") {
      json(request).then(
        (report) => {
          response.end();
          if (done.push(report as LoadDone) === clients) allDone.resolve();
        },
        () => response.destroy(),
      );
    } else response.writeHead(404).end();
  });
  server.listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  const ready = async () => {
    while (asking.size < clients) {
      allAsk = Promise.withResolvers();
      await allAsk.promise;
    }
  };
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ready,
    async run(order) {
      await ready();
      done = [];
      allDone = Promise.withResolvers();
      for (const one of asking) one.answer({ order });
      const late = setTimeout(
        () => allDone.reject(new Error(`${done.length} of ${clients} clients have reported what they did`)),
        order.until.seconds * 1_000 + LATE_MS,
      );
      await allDone.promise.finally(() => clearTimeout(late));
      return done;
    },
    async [Symbol.asyncDispose]() {
      // A client that has just reported asks again. One that is gone does not.
      await Promise.race([ready(), pause(LEAVE_MS)]);
      for (const one of asking) one.answer({ over: true });
      server.close();
      server.closeIdleConnections();
      await once(server, "close");
    },
  };
}

function isAllowed({ headers: { authorization = "" } }: IncomingMessage, token: string): boolean {
  const [given, wanted] = [Buffer.from(authorization), Buffer.from(`Bearer ${token}`)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
