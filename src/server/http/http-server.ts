import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  REQUEST_TIMEOUT_MS_DEFAULT,
  STREAM_RESET_BURST_DEFAULT,
  STREAMS_PER_CONNECTION_DEFAULT,
} from "../../domain/limits.ts";
import type { Certificate } from "../config/certificate.ts";
import { http2Limits } from "../http2-limits.ts";

/** Takes a request of HTTP/1.1 or HTTP/2: Node gives both the same face. */
export type HttpHandler = ReturnType<typeof connectNodeAdapter>;
export type HttpRequest = Parameters<HttpHandler>[0];
export type HttpResponse = Parameters<HttpHandler>[1];

/** A server that listens. */
export interface HttpServer {
  readonly port: number;
  /**
   * Takes no more connections, lets what is under way end, and closes each connection after it. Resolves when all are
   * closed: after graceMs at the latest, for then they are cut off.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/** After so long without a byte the machine at the other end is asked whether it is still there. */
const KEEP_ALIVE_MS = 30_000;
/**
 * How long a connection of HTTP/1.1 is kept between two requests: longer than proxies keep theirs (nginx and cloud
 * balancers 60 s). Were it the server that closes first, a proxy would send a request at that moment and lose it.
 */
const IDLE_CONNECTION_MS = 75_000;
/** How often at the least Node looks for requests that have not come in time. */
const TIMEOUT_CHECK_MS = 5_000;
/** Of all headers of a request, its URL among them: a cursor of many tasks comes as one, and a call by GET in the URL. */
const HEADERS_BYTES_MAX = 64 * 1_024;

/**
 * Listens for HTTP/1.1, or with a certificate for HTTP/2 and HTTP/1.1 over TLS at one port.
 *
 * @param port 0 for any that is free
 * @param streamResetBurst how many streams a connection of HTTP/2 may cancel at once
 * @throws where the address cannot be listened on, or the certificate and the key are none or not of one pair
 */
export async function openHttpServer({
  host,
  port,
  certificate,
  streamResetBurst = STREAM_RESET_BURST_DEFAULT,
  streamsPerConnection = STREAMS_PER_CONNECTION_DEFAULT,
  requestTimeoutMs = REQUEST_TIMEOUT_MS_DEFAULT,
  handler,
  refuse = (_request, response) => response.destroy(),
}: {
  host: string;
  port: number;
  certificate?: Certificate | null | undefined;
  streamResetBurst?: number | undefined;
  /** How many requests of one connection may be under way: over HTTP/2 a client waits past it. */
  streamsPerConnection?: number;
  /** How long the headers of a request, and all of it, may take to arrive over HTTP/1.1. */
  requestTimeoutMs?: number;
  handler: HttpHandler;
  /** Answers a request that is one too many on its connection. */
  refuse?: HttpHandler;
}): Promise<HttpServer> {
  /** Also those that have not spoken TLS yet. */
  const sockets = new Set<Socket>();
  /** What speaks HTTP, each with how many of its requests are under way; over HTTP/2 the library counts. */
  const connections = new Map<Socket, number>();
  let closing = false;
  const onRequest: HttpHandler = (request, response) => {
    const { socket } = request;
    const count = (more: 1 | -1) => {
      const before = connections.get(socket);
      if (before === undefined) return;
      connections.set(socket, before + more);
      if (closing && before + more === 0) socket.destroySoon();
    };
    count(1);
    if (closing && request.httpVersionMajor === 1) response.setHeader("connection", "close");
    response.once("close", () => count(-1));
    if ((connections.get(socket) ?? 0) > streamsPerConnection) refuse(request, response);
    else handler(request, response);
  };
  const options = {
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    maxHeaderSize: HEADERS_BYTES_MAX,
  };
  const timeouts = {
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(requestTimeoutMs, TIMEOUT_CHECK_MS),
  };
  const settings = { maxHeaderListSize: HEADERS_BYTES_MAX, maxConcurrentStreams: streamsPerConnection };
  const server = certificate
    ? createSecureServer(
        { ...options, ...timeouts, ...certificate, ...http2Limits(streamResetBurst), allowHTTP1: true, settings },
        onRequest,
      )
    : createServer({ ...options, ...timeouts }, onRequest);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on(certificate ? "secureConnection" : "connection", (socket: Socket) => {
    connections.set(socket, 0);
    socket.once("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  let closed: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close({ graceMs }) {
      closed ??= new Promise((resolve) => {
        closing = true;
        const timer = setTimeout(() => sockets.forEach((socket) => socket.destroy()), graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        for (const [socket, underWay] of connections) {
          if (underWay === 0 && !isHttp2(socket)) socket.destroySoon();
        }
      });
      return closed;
    },
  };
}

function isHttp2(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.alpnProtocol === "h2";
}
