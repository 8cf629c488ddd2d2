import assert from "node:assert/strict";
import { request } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { Unauthenticated } from "../../../src/domain/errors.ts";
import { lastingIdentity } from "../../../src/rpc/call/identity.ts";
import type { Authenticator } from "../../../src/rpc/call/identity.ts";
import { aTask, TASK_ID } from "../../rpc/fake-engine.ts";
import { openTestListener } from "./open-http-listener.ts";
import type { TestHttpListener } from "./open-http-listener.ts";

const TOKEN = "a-token-of-this-test";
const SESSION = "/console/session";
const GET_TASK = "/spool.v1.TaskService/GetTask";
const ENGINE = { getTask: async () => aTask() };
const OWN = { "sec-fetch-site": "same-origin" };
const HOUR_MS = 3_600_000;
const NAME = "reader";
const READER = lastingIdentity({
  name: NAME,
  namespaces: ["a*"],
  scopes: ["tasks:read"],
  kinds: ["echo"],
  labels: { team: "a" },
  taskId: null,
});

/** Admits one token, until it is revoked. */
function revocable(token: string): Authenticator & { revoke(): void } {
  let isRevoked = false;
  return {
    isRequired: true,
    authenticate({ authorization }) {
      if (authorization === undefined) throw new Unauthenticated("missing");
      if (authorization !== `Bearer ${token}`) throw new Unauthenticated("wrong");
      if (isRevoked) throw new Unauthenticated("revoked");
      return READER;
    },
    revoke: () => (isRevoked = true),
  };
}

/** A token with claims, whose signature the server of a test does not verify. */
function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part(claims)}.signature`;
}

interface Answer {
  status: number;
  cookies: string[];
  text: string;
}

async function ask(
  { endpoint }: TestHttpListener,
  options: RequestOptions & { body?: unknown; cookies?: readonly string[] },
): Promise<Answer> {
  const { body, cookies = [], headers = {}, ...rest } = options;
  const cookie = cookies.map((text) => text.split(";", 1)[0]).join("; ");
  const type = { "content-type": "application/json" };
  const sent = request({
    host: "127.0.0.1",
    port: endpoint.port,
    headers: { ...type, ...(cookie !== "" && { cookie }), ...(headers as Record<string, string>) },
    ...rest,
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on("response", resolve).on("error", reject));
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  const answer = await answered;
  const text = (await answer.setEncoding("utf8").toArray()).join("");
  return { status: answer.statusCode!, cookies: answer.headers["set-cookie"] ?? [], text };
}

function signIn(server: TestHttpListener, token = TOKEN, headers: Record<string, string> = OWN): Promise<Answer> {
  return ask(server, { method: "POST", path: SESSION, headers, body: { token } });
}

function getTask(server: TestHttpListener, cookies: readonly string[], headers: Record<string, string> = OWN) {
  return ask(server, { method: "POST", path: GET_TASK, body: { taskId: TASK_ID }, cookies, headers });
}

async function stateOf(server: TestHttpListener, cookies: readonly string[], headers: Record<string, string> = OWN) {
  const { status, text } = await ask(server, { path: SESSION, cookies, headers });
  assert.equal(status, 200, text);
  return JSON.parse(text) as { caller: object | null; problem?: string; expiresAt?: string | null; signIn: object };
}

describe("/console/session", () => {
  it("signs in with a token, and returns the rights of the caller without the token", async () => {
    await using server = await openTestListener(ENGINE, { authenticator: revocable(TOKEN) });
    const { status, cookies, text } = await signIn(server);
    assert.equal(status, 200);
    assert.doesNotMatch(text + cookies.join(), new RegExp(TOKEN));
    const { caller, expiresAt, signIn: ways } = JSON.parse(text) as Awaited<ReturnType<typeof stateOf>>;
    const { principal } = READER;
    const { namespaces, scopes, kinds, labels } = principal;
    assert.deepEqual(caller, { name: NAME, scopes, namespaces, kinds, labels, defaultNamespace: "default" });
    assert.deepEqual(ways, { token: true, provider: null });
    assert.ok(Math.abs(Date.parse(expiresAt!) - Date.now() - 12 * HOUR_MS) < 60_000);
    assert.deepEqual((await stateOf(server, cookies)).caller, caller);
  });

  it("sets a cookie for this port that scripts and other sites cannot use, and over https one for this host alone", async () => {
    await using server = await openTestListener(ENGINE, { token: TOKEN });
    const { port } = server.endpoint;
    const [plain] = (await signIn(server)).cookies;
    assert.match(
      plain!,
      new RegExp(`^spool-session-${port}=[\\w-]+; Path=/; Max-Age=43\\d{3}; HttpOnly; SameSite=Strict$`),
    );
    const secure = await signIn(server, TOKEN, { ...OWN, host: "spool.example", origin: "https://spool.example" });
    assert.match(secure.cookies[0]!, /^__Host-spool-session=[\w-]+; Path=\/; .*HttpOnly; SameSite=Strict; Secure$/);
  });

  it("ends no later than the token, if the token says when it expires", async () => {
    const expiresAt = Math.floor(Date.now() / 1_000) + 600;
    const token = jwt({ exp: expiresAt });
    await using server = await openTestListener(ENGINE, { token });
    const { cookies, text } = await signIn(server, token);
    assert.match(cookies[0]!, /Max-Age=(59\d|600);/);
    assert.equal(Date.parse((JSON.parse(text) as { expiresAt: string }).expiresAt), expiresAt * 1_000);
  });

  it("refuses a wrong token, a body that is no token, and a token that no cookie can hold", async () => {
    await using server = await openTestListener(ENGINE, { token: "x".repeat(8_000) });
    const refused = await signIn(server, "wrong");
    assert.deepEqual([refused.status, refused.cookies], [401, []]);
    for (const [body, field] of [
      [{ token: "two words" }, "token"],
      [{ token: 1 }, "token"],
      [{ token: TOKEN, other: 1 }, "other"],
      [["token"], "body"],
      [{ token: "x".repeat(20_000) }, "body"],
      [{ token: "x".repeat(8_000) }, "token"],
    ] as const) {
      const { status, text } = await ask(server, { method: "POST", path: SESSION, headers: OWN, body });
      assert.equal(status, 400);
      assert.match(text, new RegExp(`"field":"${field}"`));
    }
    const { status } = await ask(server, { method: "PUT", path: SESSION, headers: OWN });
    assert.equal(status, 405);
  });

  it("splits a long token over two cookies", async () => {
    const token = "t".repeat(5_000);
    await using server = await openTestListener(ENGINE, { token });
    const { cookies } = await signIn(server, token);
    assert.ok(cookies.every((cookie) => cookie.length < 4_096));
    assert.equal((await getTask(server, cookies)).status, 200);
    assert.equal((await getTask(server, cookies.slice(0, 1))).status, 401);
  });

  it("signs out by deleting every cookie of the session", async () => {
    await using server = await openTestListener(ENGINE, { token: TOKEN });
    const { cookies } = await ask(server, { method: "DELETE", path: SESSION, headers: OWN });
    assert.equal(cookies.length, 4);
    for (const cookie of cookies) assert.match(cookie, /^(__Host-)?spool-session-\d+(\.1)?=; Path=\/; Max-Age=0; /);
  });

  it("says that no session is needed, without a cookie, if calls need no credential", async () => {
    await using server = await openTestListener(ENGINE);
    const { caller, expiresAt, signIn: ways } = await stateOf(server, []);
    assert.deepEqual([(caller as { name: string }).name, expiresAt], ["anonymous", null]);
    assert.deepEqual(ways, { token: false, provider: null });
  });
});

describe("a call with the session of the console", () => {
  it("is refused as soon as the token is revoked", async () => {
    const authenticator = revocable(TOKEN);
    await using server = await openTestListener(ENGINE, { authenticator });
    const { cookies } = await signIn(server);
    authenticator.revoke();
    assert.match((await getTask(server, cookies)).text, /"token":"revoked"/);
    assert.equal((await stateOf(server, cookies)).problem, "revoked");
  });

  it("is admitted only from a page of this server, whatever origins are allowed", async () => {
    const origins = ["https://app.example"];
    await using server = await openTestListener(ENGINE, { token: TOKEN, origins });
    const { cookies } = await signIn(server);
    const own = `http://127.0.0.1:${server.endpoint.port}`;
    const statuses = async (headers: Record<string, string>) => (await getTask(server, cookies, headers)).status;
    assert.equal(await statuses(OWN), 200);
    assert.equal(await statuses({ origin: own }), 200, "a browser without Sec-Fetch-Site");
    assert.equal(await statuses({ "spool-console": "1" }), 200, "a read of such a browser");
    assert.equal(await statuses({}), 401);
    for (const site of ["same-site", "cross-site", "none"]) {
      const headers = { "sec-fetch-site": site, origin: "https://app.example" };
      assert.equal(await statuses(headers), 401, site);
      assert.equal((await signIn(server, TOKEN, headers)).status, 403, site);
      assert.equal((await ask(server, { method: "DELETE", path: SESSION, headers })).status, 403, site);
    }
    assert.equal(await statuses({ origin: "https://app.example" }), 401);
    assert.equal(await statuses({ origin: "https://evil.example" }), 403);
  });

  it("ends with the session, if it is a stream, and so do all later calls", async () => {
    const expiresAt = Math.floor(Date.now() / 1_000) + 2;
    const token = jwt({ exp: expiresAt });
    const engine = {
      async *followTape(_query: unknown, signal: AbortSignal) {
        yield { taskId: TASK_ID, status: "running" as const, events: [], nextFromSeq: 1n, lastSeq: 0n, hasMore: false };
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      },
    };
    await using server = await openTestListener(engine, { token });
    const { cookies } = await signIn(server, token);
    const stream = await ask(server, { path: `/v1/tasks/${TASK_ID}/events`, headers: OWN, cookies });
    assert.match(stream.text, /event: error[^]*"token":"expired"/);
    assert.ok(Date.now() >= expiresAt * 1_000);
    assert.match((await getTask(server, cookies)).text, /"token":"expired"/);
    assert.deepEqual(await stateOf(server, cookies), {
      caller: null,
      problem: "expired",
      signIn: { token: true, provider: null },
    });
  });

  it("is authenticated by its authorization header, if it has one", async () => {
    await using server = await openTestListener(ENGINE, { token: TOKEN });
    const { cookies } = await signIn(server);
    assert.equal((await getTask(server, cookies, { ...OWN, authorization: "Bearer wrong" })).status, 401);
    assert.equal((await getTask(server, [], { authorization: `Bearer ${TOKEN}` })).status, 200);
  });

  it("is admitted by every server with the same secret, and by no other server", async () => {
    const consoleSecret = "a secret that two servers share, long";
    await using first = await openTestListener(ENGINE, { token: TOKEN, consoleSecret });
    await using second = await openTestListener(ENGINE, { token: TOKEN, consoleSecret });
    await using third = await openTestListener(ENGINE, { token: TOKEN });
    const headers = { ...OWN, host: "spool.example" };
    const { cookies } = await signIn(first, TOKEN, headers);
    assert.equal((await getTask(second, cookies, headers)).status, 200);
    assert.equal((await getTask(third, cookies, headers)).status, 401);
    const damaged = cookies.map((cookie) => cookie.replace(/=./, "=-"));
    assert.equal((await getTask(first, damaged, headers)).status, 401);
  });
});
