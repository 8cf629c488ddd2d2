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

/** Handles a request of HTTP/1.1 or HTTP/2: Node has one interface for both. */
export type HttpHandler = ReturnType<typeof connectNodeAdapter>;
export type HttpRequest = Parameters<HttpHandler>[0];
export type HttpResponse = Parameters<HttpHandler>[1];

/** A listening HTTP server. */
export interface HttpServer {
  readonly port: number;
  /** New connections get the new certificate. Open connections stay. Has no effect without TLS. */
  setCertificate(certificate: Certificate): void;
  /**
   * Accepts no more connections and closes each connection when its requests have ended. Resolves when all are closed.
   * After graceMs the remaining connections are cut off.
   */
  close(options: { graceMs: number }): Promise<void>;
}

/** Idle time after which TCP keep-alive probes the peer. */
const KEEP_ALIVE_MS = 30_000;
/**
 * How long an idle HTTP/1.1 connection stays open: longer than in proxies (nginx and cloud load balancers use 60 s).
 * If the server closed first, a proxy could send a request on the closing connection and lose it.
 */
const IDLE_CONNECTION_MS = 75_000;
/** The longest interval at which Node checks for requests that have timed out. */
const TIMEOUT_CHECK_MS = 5_000;
/** The size of all request headers with the URL. A cursor of many tasks is sent as a header, a GET call in the URL. */
const HEADERS_BYTES_MAX = 64 * 1_024;

/**
 * Listens for HTTP/1.1, or with a certificate for HTTP/2 and HTTP/1.1 over TLS on one port.
 *
 * @param port 0: any free port
 * @param streamResetBurst how many streams an HTTP/2 connection may cancel at once
 * @throws Error if the address cannot be listened on, or the certificate and key are invalid or do not match
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
  /** How many requests of one connection may be open. Over HTTP/2 clients wait beyond that. */
  streamsPerConnection?: number;
  /** How long the headers of an HTTP/1.1 request, and the whole request, may take to arrive. */
  requestTimeoutMs?: number;
  handler: HttpHandler;
  /** Handles a request beyond the limit of its connection. */
  refuse?: HttpHandler;
}): Promise<HttpServer> {
  /** All sockets, including those before the end of the TLS handshake. */
  const sockets = new Set<Socket>();
  /** The number of open requests of each HTTP connection. Over HTTP/2 the library counts. */
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
        {
          ...options,
          ...timeouts,
          ...contextOf(certificate),
          requestCert: certificate.clients !== undefined,
          rejectUnauthorized: certificate.clients?.isRequired ?? false,
          ...http2Limits(streamResetBurst),
          allowHTTP1: true,
          settings,
        },
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
    setCertificate(next) {
      if ("setSecureContext" in server) server.setSecureContext(contextOf(next));
    },
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

function contextOf({ cert, key, clients }: Certificate) {
  return { cert, key, ...(clients && { ca: clients.ca }) };
}

function isHttp2(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.alpnProtocol === "h2";
}
