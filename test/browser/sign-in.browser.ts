import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import type { Page } from "playwright-core";
import { eventually } from "../support/eventually.ts";
import { signIn } from "./support/sign-in.ts";
import { openStage } from "./support/stage.ts";
import type { Stage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const STAGE_MS = 60_000;
const TOKEN = "the-token-of-this-test";
/** What Chromium says of itself of a call that is refused. */
const REFUSED = /401 \(Unauthorized\)|403 \(Forbidden\)/;

describe("the console of a server with a token", function () {
  this.timeout(STAGE_MS);
  let stage: Stage;
  before(async () => {
    stage = await openStage({ SPOOL_TOKEN: TOKEN });
    await stage.client.start({ kind: "echo" });
  });
  after(() => stage[Symbol.asyncDispose]());

  it("signs in with the token, reports a wrong one, shows what was asked for, and stays signed in", async () => {
    await using visited = await visit(`${stage.server.url}/#/tasks?kind=echo`);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
    await signIn(page, "wrong-token");
    await page.getByRole("alert").getByText("rejected this token").waitFor();
    await signIn(page, TOKEN);
    await shown(page);
    assert.match(page.url(), /kind=echo$/);
    await page.reload();
    await shown(page);
    await page.getByRole("banner").getByText("root").waitFor();
  });

  it("keeps the token where no script can read it", async () => {
    await using visited = await visit(stage.server.url);
    const { page } = visited;
    await signIn(page, TOKEN);
    await shown(page);
    const stored = await page.evaluate(async () => [
      ...Object.entries(localStorage).flat(),
      ...Object.entries(sessionStorage).flat(),
      document.cookie,
      ...(await indexedDB.databases()).map(({ name }) => name),
      document.documentElement.outerHTML,
      JSON.stringify(history.state),
    ]);
    assert.deepEqual(stored.slice(0, 2), ["spool-theme", "auto"]);
    assert.equal(await page.evaluate(() => document.cookie), "");
    assert.ok(!stored.join().includes(TOKEN));
    const [cookie, ...others] = await page.context().cookies();
    assert.deepEqual(others, []);
    assert.deepEqual([cookie!.httpOnly, cookie!.sameSite, cookie!.path], [true, "Strict", "/"]);
    assert.ok(!cookie!.value.includes(TOKEN));
  });

  it("signs out: the cookie is gone, and another tab asks to sign in", async () => {
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    await signIn(page, TOKEN);
    await shown(page);
    const other = await page.context().newPage();
    await other.goto(stage.server.url);
    await shown(other);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    await other.getByRole("link", { name: "Start" }).click();
    await other.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("asks to sign in again if its cookie is of a server that has ended", async () => {
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    visited.expect(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED/);
    const { page } = visited;
    await signIn(page, TOKEN);
    await shown(page);
    await stage.restart(async () => {});
    await page.getByRole("heading", { name: "Sign in" }).waitFor({ timeout: 20_000 });
    await signIn(page, TOKEN);
    await shown(page);
  });

  it("lends its cookie to no page of another origin, also not to one of the same host", async () => {
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    visited.expect(/blocked by CORS policy|net::ERR_FAILED/);
    const { page } = visited;
    await signIn(page, TOKEN);
    await shown(page);
    await using other = await otherOrigin();
    await page.goto(other.url);
    const [session, call, sent] = await page.evaluate(async (url) => {
      const ask = (path: string, init: RequestInit) =>
        fetch(`${url}${path}`, { credentials: "include", ...init }).then(
          async (answer) => `${answer.status} ${answer.type} ${await answer.text()}`,
          (error: unknown) => String(error),
        );
      const json = { "content-type": "application/json" };
      const start = "/spool.v1.TaskService/StartTask";
      return [
        await ask("/console/session", {}),
        await ask(start, { method: "POST", headers: json, body: '{"kind":"forged"}' }),
        // A simple request, which needs no preflight and whose answer the page does not see.
        await ask(start, { method: "POST", mode: "no-cors", body: '{"kind":"forged"}' }),
      ];
    }, stage.server.url);
    assert.match(session!, /Failed to fetch/);
    assert.match(call!, /Failed to fetch/);
    assert.match(sent!, /^0 opaque/);
    assert.deepEqual(await Array.fromAsync(stage.client.list({ kinds: ["forged"] })), []);
    await page.goto(stage.server.url);
    await shown(page);
  });

  it("lends its cookie to no page of an allowed origin either", async () => {
    await using other = await otherOrigin();
    await using own = await openStage({ SPOOL_TOKEN: TOKEN, SPOOL_HTTP_ORIGINS: other.url });
    await using visited = await visit(own.server.url);
    visited.expect(REFUSED);
    visited.expect(/blocked by CORS policy|net::ERR_FAILED/);
    const { page } = visited;
    await signIn(page, TOKEN);
    await page.getByText("No matching tasks").waitFor();
    await page.goto(other.url);
    const statuses = await page.evaluate(
      (url) =>
        Promise.all(
          (["include", "omit"] as const).map((credentials) =>
            fetch(`${url}/spool.v1.TaskService/ListTasks`, {
              method: "POST",
              credentials,
              headers: { "content-type": "application/json" },
              body: "{}",
            }).then(
              ({ status }) => status,
              () => "not readable",
            ),
          ),
        ),
      own.server.url,
    );
    assert.deepEqual(statuses, ["not readable", 401]);
  });
});

describe("the console when its session ends @slow", () => {
  it("asks to sign in, and says why", async () => {
    const claims = { exp: Math.floor(Date.now() / 1_000) + 45 };
    const token = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.signature`;
    await using stage = await openStage({ SPOOL_TOKEN: token });
    await stage.client.start({ kind: "echo" });
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    await signIn(page, token);
    await shown(page);
    await page.getByText("Your session has ended. Sign in again.").waitFor({ timeout: 60_000 });
  }).timeout(2 * STAGE_MS);
});

/** Waits until the page shows the task of these tests. */
async function shown(page: Page): Promise<void> {
  await eventually(async () => assert.ok((await page.getByRole("link", { name: "echo", exact: true }).count()) > 0), {
    timeoutMs: 10_000,
  });
}

/** A page of another port of the same host. */
async function otherOrigin(): Promise<AsyncDisposable & { url: string }> {
  const server = createServer((_, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end("<!doctype html><title>other</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close").catch(() => {});
    },
  };
}
