import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { SpoolRpcError } from "../../src/client/client.ts";
import { connect } from "../../src/client/web.ts";
import type { SpoolClient, WebConnectOptions } from "../../src/client/web.ts";
import { TASK_ID } from "./scripted-server.ts";

describe("the client for the web", () => {
  it("fails a call whose token function throws, with its error and without a retry", async () => {
    await using server = await serve(assert.fail);
    const problem = new Error("logged out");
    const throwing = () => {
      throw problem;
    };
    for (const token of [throwing, () => Promise.reject(problem)]) {
      using client = connect({ url: server.url, token });
      for (const call of callsOf(client)) {
        await assert.rejects(call(), (error) => {
          assert.ok(error instanceof SpoolRpcError);
          assert.deepEqual([error.code, error.cause], ["UNAUTHENTICATED", problem]);
          return true;
        });
      }
    }
    using client = connect({ url: server.url, token: async () => "two words" });
    await assert.rejects(client.get({ taskId: TASK_ID }), { code: "UNAUTHENTICATED" });
  });

  it("ends a call that waits for its token when the signal fires and when the client is closed", async () => {
    await using server = await serve(assert.fail);
    for (const end of ["signal", "close"] as const) {
      const asked = Promise.withResolvers<void>();
      const caller = new AbortController();
      const token = () => {
        asked.resolve();
        return new Promise<string>(() => {});
      };
      using client = connect({ url: server.url, token });
      const ended = assert.rejects(client.get({ taskId: TASK_ID }, { signal: caller.signal }), {
        message: end === "signal" ? "enough" : "the client is closed",
      });
      await asked.promise;
      if (end === "signal") caller.abort(new Error("enough"));
      else client.close();
      await ended;
    }
  });

  it("rejects a token that a header cannot carry, and a URL to which no method can be added", () => {
    const url = "http://127.0.0.1:8080";
    for (const token of ["", "a\nb", "ü"]) assert.throws(() => connect({ url, token }), /^TypeError: token: must be/);
    for (const wrong of ["127.0.0.1:8080", "localhost:8080", "ftp://a", "http://", ""]) {
      assert.throws(() => connect({ url: wrong }), /^TypeError: url: must begin with http/, wrong);
    }
    for (const wrong of [`${url}/?a=1`, `${url}/#a`, "http://me:secret@127.0.0.1:8080"]) {
      assert.throws(() => connect({ url: wrong }), /^TypeError: url: must have no user, query or fragment/, wrong);
    }
  });

  it("calls below the path of its URL, with the token of each call", async () => {
    const requests: unknown[] = [];
    await using server = await serve(({ url, headers }, response) => {
      requests.push([url, headers.authorization]);
      response.writeHead(403).end();
    });
    let calls = 0;
    const base: WebConnectOptions = { url: new URL("/tasks/", server.url), token: () => `token-${++calls}` };
    using client = connect(base);
    for (const call of callsOf(client)) await assert.rejects(call(), { code: "PERMISSION_DENIED" });
    assert.deepEqual(requests, [
      ["/tasks/spool.v1.TaskService/GetTask", "Bearer token-1"],
      ["/tasks/spool.v1.TaskService/StreamEvents", "Bearer token-2"],
    ]);
  });

  it("retries what a proxy answers for a missing server, and names the URL and the answer", async () => {
    for (const [status, text] of [
      [502, "HTTP 502"],
      [200, "unsupported content type text/html"],
    ] as const) {
      let requests = 0;
      await using server = await serve((_, response) => {
        requests++;
        response.writeHead(status, { "content-type": "text/html" }).end("<html>");
      });
      using client = connect({ url: server.url, retryMs: 400 });
      for (const call of callsOf(client)) {
        requests = 0;
        const message = `${server.url} cannot be reached (${text})`;
        await assert.rejects(call(), { code: "UNAVAILABLE", message });
        assert.ok(requests >= 2, `${requests} requests`);
      }
    }
  });
});

/** A unary call and a stream. */
function callsOf(client: SpoolClient): (() => Promise<unknown>)[] {
  return [() => client.get({ taskId: TASK_ID }), () => Array.fromAsync(client.follow({ taskId: TASK_ID }))];
}

async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
