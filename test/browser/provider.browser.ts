import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { start } from "../support/engine-tasks.ts";
import { freePort } from "../support/free-port.ts";
import { CLIENT, startProvider } from "./support/oidc-provider.ts";
import { openRightsServer } from "./support/rights-server.ts";
import { openStage as openServerStage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const SERVER_MS = 60_000;
const SCOPES = "openid profile email";
/** What Chromium says of itself of a page that is an error, and of the provider's pages: a font, and no icon. */
const REFUSED = /400 \(Bad Request\)|ERR_NAME_NOT_RESOLVED|404 \(Not Found\)/;

/** A server whose people sign in at a provider. */
async function openStage({
  hasJwt = false,
  audience = CLIENT.clientId,
  clientSecret = CLIENT.clientSecret,
}: { hasJwt?: boolean; audience?: string; clientSecret?: string } = {}) {
  const port = await freePort();
  const opened = new AsyncDisposableStack();
  const provider = opened.use(await startProvider(`http://127.0.0.1:${port}`, { hasJwt }));
  const settings = { issuer: provider.issuer, clientId: CLIENT.clientId, clientSecret, scopes: SCOPES };
  const authenticator = provider.authenticator(audience);
  const server = opened.use(await openRightsServer({ port, authenticator, provider: settings }));
  const { host } = new URL(provider.issuer);
  return { server, host, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

describe("the console of a server with an identity provider", function () {
  this.timeout(SERVER_MS);

  it("signs in at the provider, returns to the page that was asked for, and signs out", async () => {
    await using stage = await openStage();
    const taskId = await start(stage.server.engines.second, { kind: "echo" });
    const url = `${stage.server.url}/?namespace=second#/tasks/${taskId}`;
    await using visited = await visit(url);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("link", { name: `Sign in with ${stage.host}` }).click();
    await approve(page, "ana");
    await page.getByRole("heading", { level: 1, name: "echo" }).waitFor();
    assert.equal(page.url(), url);
    await page.getByRole("banner").getByText("ana").waitFor();
    const cookies = await page.context().cookies(stage.server.url);
    const ours = cookies.filter(({ name }) => name.startsWith("spool-"));
    assert.deepEqual(
      ours.map(({ name, sameSite, httpOnly }) => [name.replace(/-\d+$/, ""), sameSite, httpOnly]),
      [["spool-session", "Strict", true]],
    );
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await page.getByRole("banner").getByText("ana").waitFor(); // The provider still knows the person.
  });

  it("gives the person the rights that the access file gives to the issuer's tokens", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-access-"));
    const port = await freePort();
    await using provider = await startProvider(`http://127.0.0.1:${port}`);
    const { issuer } = provider;
    const { clientId, clientSecret } = CLIENT;
    const grants = { namespaces: ["default"], scopes: ["tasks:read"] };
    const jwt = [{ issuer, audience: clientId, jwks: `${issuer}/jwks`, grants }];
    const path = join(folder.path, "access.json");
    await writeFile(path, JSON.stringify({ jwt }));
    await using stage = await openServerStage({
      SPOOL_TOKEN: "the-token-of-this-test",
      SPOOL_HTTP_PORT: `${port}`,
      SPOOL_ACCESS_FILE: path,
      SPOOL_OIDC_ISSUER: issuer,
      SPOOL_OIDC_CLIENT_ID: clientId,
      SPOOL_OIDC_CLIENT_SECRET: clientSecret,
    });
    const { task } = await stage.client.start({ kind: "steady", params: { delay_ms: 1_000 } });
    await using visited = await visit(`${stage.server.url}/#/tasks/${task.taskId}`);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await approve(page, "ana");
    await page.getByRole("banner").getByText("ana").waitFor();
    const cancel = page.getByRole("button", { name: "Cancel" });
    await cancel.waitFor();
    assert.equal(await cancel.getAttribute("title"), "ana needs the scope tasks:cancel.");
    await stage.client.cancel({ taskId: task.taskId });
  });

  it("uses the access token if that is the token that the server accepts", async () => {
    await using stage = await openStage({ hasJwt: true, audience: "spool" });
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await approve(page, "ben");
    await page.getByRole("banner").getByText("ben").waitFor();
  });

  it("says so if the server does not accept the token", async () => {
    await using stage = await openStage({ audience: "another" });
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await approve(page, "ana");
    await page.getByRole("heading", { name: "Sign-in failed" }).waitFor();
    await page.getByText(`You are signed in at ${stage.host}, but this server does not accept its token`).waitFor();
    await page.getByRole("link", { name: "Back to the console" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });

  it("says so if the provider refuses the person or the client", async () => {
    await using stage = await openStage({ clientSecret: "wrong" });
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.getByText("The identity provider refused the sign-in: access_denied").waitFor();
    await page.goto(stage.server.url);
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await approve(page, "ana");
    await page.getByText("The identity provider refused the code: HTTP 401, invalid_client").waitFor();
  });

  it("says so if the provider does not answer, and tries again at the next sign-in", async () => {
    const port = await freePort();
    const settings = { issuer: `http://127.0.0.1:${port}`, ...CLIENT, scopes: SCOPES };
    await using other = await startProvider("http://127.0.0.1:1");
    await using server = await openRightsServer({ authenticator: other.authenticator(""), provider: settings });
    await using visited = await visit(server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    const refused = `The identity provider ${settings.issuer} does not answer`;
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await page.getByText(refused).waitFor();
    const broken = createServer((_, answer) => answer.end("<b>no JSON</b>")).listen(port, "127.0.0.1");
    await once(broken, "listening");
    await page.goto(server.url);
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await page.getByText(refused).waitFor();
    broken.close();
    broken.closeAllConnections();
  });

  it("ends no sign-in that another browser has begun, and none twice", async () => {
    await using stage = await openStage();
    await using visited = await visit(stage.server.url);
    visited.expect(REFUSED);
    const { page } = visited;
    let callback = "";
    page.on("request", (request) => {
      if (request.url().includes("/console/callback")) callback = request.url();
    });
    await page.getByRole("link", { name: /^Sign in with/ }).click();
    await approve(page, "ana");
    await page.getByRole("banner").getByText("ana").waitFor();
    assert.match(callback, /code=.*state=/);
    for (const options of [{}, { storageState: await page.context().storageState() }]) {
      await using another = await visit("about:blank", options);
      another.expect(REFUSED);
      await another.page.goto(callback);
      await another.page.getByText("This sign-in was not begun in this browser").waitFor();
    }
    await page.goto(`${stage.server.url}/console/login?page=https://evil.example/`);
    await page.getByText("The page to return to is not of this server").waitFor();
  });
});

/** Signs in at the provider with a name, and consents. */
async function approve(page: Page, name: string): Promise<void> {
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}
