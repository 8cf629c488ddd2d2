import assert from "node:assert/strict";
import { request } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { aTask, TASK_ID } from "../../rpc/fake-engine.ts";
import { openTestListener } from "./open-http-listener.ts";
import type { TestHttpListener } from "./open-http-listener.ts";

const APP = "https://app.example";
const GET_TASK = "/spool.v1.TaskService/GetTask";
const EVENTS = `/v1/tasks/${TASK_ID}/events`;

const ENGINE = {
  getTask: async () => aTask(),
  async *followTape() {},
};

/** A request with headers that fetch would not send. A call where there is no other path. */
async function ask(
  { endpoint }: TestHttpListener,
  headers: Record<string, string>,
  options: RequestOptions = {},
): Promise<IncomingMessage> {
  const body = JSON.stringify({ taskId: TASK_ID });
  const sent = request({
    host: "127.0.0.1",
    port: endpoint.port,
    method: "POST",
    path: GET_TASK,
    headers: { "content-type": "application/json", ...headers },
    ...options,
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
  sent.end(sent.method === "POST" ? body : undefined);
  return await answer;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  return (await answer.setEncoding("utf8").toArray()).join("");
}

describe("the HTTP endpoint called by a browser", () => {
  const OTHERS = ["https://evil.example", "http://127.0.0.1:1", "http://localhost", "null", "nonsense", "file://"];
  for (const origin of OTHERS) {
    it(`refuses every request of a page of ${origin}`, async () => {
      await using server = await openTestListener({}, { origins: [APP] });
      for (const options of [
        { method: "POST", path: GET_TASK },
        { method: "POST", path: "/spool.v1.TaskService/StartTask" },
        { method: "GET", path: EVENTS },
        { method: "GET", path: "/metrics" },
        { method: "GET", path: "/" },
        { method: "OPTIONS", path: GET_TASK },
      ]) {
        const answer = await ask(server, { origin, "access-control-request-method": "POST" }, options);
        assert.equal(answer.statusCode, 403);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
        const text = await textOf(answer);
        assert.match(text, /"code":"permission_denied"/);
        assert.match(text, /ORIGIN_REFUSED/);
        assert.match(text, /SPOOL_HTTP_ORIGINS/);
      }
    });
  }

  it("admits its own pages under every name of this machine", async () => {
    await using server = await openTestListener(ENGINE);
    for (const host of [`127.0.0.1:${server.endpoint.port}`, "localhost", "[::1]:8080", "127.9.9.9", "LOCALHOST:1"]) {
      for (const scheme of ["http", "https"]) {
        const answer = await ask(server, { host, origin: `${scheme}://${host.toLowerCase()}` });
        assert.equal(answer.statusCode, 200, host);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
      }
    }
  });

  it("admits the pages of an allowed origin and sends CORS headers", async () => {
    await using server = await openTestListener(ENGINE, { origins: [APP, "http://localhost:3000"] });
    for (const origin of [APP, "http://localhost:3000"]) {
      const answer = await ask(server, { origin });
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.headers["access-control-allow-origin"], origin);
      assert.equal(answer.headers["vary"], "origin");
      assert.match(answer.headers["access-control-expose-headers"]!, /Grpc-Status-Details-Bin/i);
      const events = await ask(server, { origin }, { method: "GET", path: EVENTS });
      assert.deepEqual([events.statusCode, events.headers["access-control-allow-origin"]], [204, origin]);
    }
  });

  it("grants the preflight of an allowed origin without a token", async () => {
    await using server = await openTestListener({}, { origins: [APP], token: "a-token" });
    const headers = { origin: APP, "access-control-request-method": "POST" };
    const answer = await ask(server, headers, { method: "OPTIONS" });
    assert.deepEqual([answer.statusCode, await textOf(answer)], [204, ""]);
    assert.equal(answer.headers["access-control-allow-origin"], APP);
    assert.match(answer.headers["access-control-allow-methods"]!, /POST, GET/);
    for (const name of [
      "content-type",
      "connect-protocol-version",
      "connect-timeout-ms",
      "x-grpc-web",
      "authorization",
    ]) {
      assert.ok(answer.headers["access-control-allow-headers"]!.toLowerCase().split(", ").includes(name), name);
    }
    assert.equal((await ask(server, { origin: APP })).statusCode, 401);
  });

  it("refuses requests that a foreign page embeds and allows following a link", async () => {
    await using server = await openTestListener(ENGINE);
    const get = (headers: Record<string, string>) => ask(server, headers, { method: "GET", path: EVENTS });
    for (const site of ["cross-site", "same-site"]) {
      const embedded = { "sec-fetch-site": site, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
      assert.equal((await get(embedded)).statusCode, 403);
      const framed = { "sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" };
      assert.equal((await get(framed)).statusCode, 403);
      const followed = { "sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
      assert.equal((await get(followed)).statusCode, 204);
      assert.equal((await ask(server, followed)).statusCode, 403); // A form that is sent.
    }
    for (const site of ["same-origin", "none"]) assert.equal((await get({ "sec-fetch-site": site })).statusCode, 204);
  });
});

describe("the HTTP endpoint without a token", () => {
  it("refuses host names that DNS rebinding could use", async () => {
    await using server = await openTestListener({});
    for (const host of [
      "evil.example",
      "evil.example:8080",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.7",
    ]) {
      const answer = await ask(server, { host, origin: `http://${host}` });
      assert.equal(answer.statusCode, 403, host);
      assert.match(await textOf(answer), /ORIGIN_REFUSED/);
      assert.equal((await ask(server, { host }, { method: "GET", path: "/" })).statusCode, 403);
    }
  });

  it("accepts the host of an allowed origin behind a proxy", async () => {
    await using server = await openTestListener(ENGINE, { origins: [APP] });
    assert.equal((await ask(server, { host: "app.example", origin: APP })).statusCode, 200);
    assert.equal((await ask(server, { host: "app.example" })).statusCode, 200);
    assert.equal((await ask(server, { host: "other.example" })).statusCode, 403);
  });
});

describe("the HTTP endpoint with a token", () => {
  it("accepts any host name, because callers need the token", async () => {
    await using server = await openTestListener(ENGINE, { token: "a-token" });
    const authorization = "Bearer a-token";
    assert.equal((await ask(server, { host: "spool.example", authorization })).statusCode, 200);
    const ours = { host: "spool.example", origin: "https://spool.example", authorization };
    assert.equal((await ask(server, ours)).statusCode, 200);
    assert.equal((await ask(server, { ...ours, origin: "https://spool.example:444" })).statusCode, 403);
  });
});
