import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A proxy of HTTP before a server, which changes headers of requests on the way. */
export interface HeaderProxy extends AsyncDisposable {
  /** Where URLs begin. */
  readonly url: string;
}

/**
 * @param target the server's URL; asked for each request, so that the server may start later
 * @param change the headers to set on each request; what the browser sent stays otherwise
 */
export async function startHeaderProxy(target: () => string, change: IncomingHttpHeaders): Promise<HeaderProxy> {
  const server = createServer((incoming, answer) => {
    const { method = "GET", url = "/", headers } = incoming;
    const outgoing = request(new URL(url, target()), { method, headers: { ...headers, ...change } }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    outgoing.on("error", () => answer.destroy());
    answer.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
