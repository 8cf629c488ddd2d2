import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { startHeaderProxy } from "./support/header-proxy.ts";
import { openStage, sharedStage } from "./support/stage.ts";
import { visit } from "./support/visit.ts";

const STAGE_MS = 60_000;
/** What Chromium says of itself of a call that is refused. */
const REFUSED = /403 \(Forbidden\)/;

describe("the console behind a proxy", () => {
  const CHANGES: [what: string, change: (host: string) => IncomingHttpHeaders, seen: (host: string) => string][] = [
    ["calls the server by its own address", (host) => ({ host }), (host) => `Host: ${host}`],
    ["calls the server by a name of its own", () => ({ host: "upstream" }), () => "Host: upstream"],
    ["changes Origin", () => ({ origin: "http://proxy.example" }), () => "Origin: http://proxy.example"],
  ];
  for (const [what, change, seen] of CHANGES) {
    it(`shows the problem and the fix if the proxy ${what}`, async () => {
      const { server } = await sharedStage();
      const { host } = new URL(server.url);
      await using proxy = await startHeaderProxy(() => server.url, change(host));
      await using visited = await visit(proxy.url);
      visited.expect(REFUSED);
      const { page } = visited;
      await page.getByRole("heading", { level: 1, name: "The server refuses this page" }).waitFor();
      await page.getByRole("alert").getByText("ORIGIN_REFUSED").waitFor();
      const text = await page.getByRole("main").innerText();
      for (const part of [seen(host), `SPOOL_HTTP_ORIGINS=${proxy.url}`, "proxy_set_header Host $http_host;"]) {
        assert.ok(text.includes(part), `${part} is not in: ${text}`);
      }
    });
  }

  it("shows the tasks if SPOOL_HTTP_ORIGINS has the proxy's origin, as the page advises", async () => {
    let url = "";
    await using proxy = await startHeaderProxy(() => url, { host: "127.0.0.1" });
    await using stage = await openStage({ SPOOL_HTTP_ORIGINS: proxy.url });
    url = stage.server.url;
    await stage.client.start({ kind: "echo" });
    await using visited = await visit(proxy.url);
    await visited.page.getByRole("link", { name: "echo", exact: true }).waitFor();
  }).timeout(STAGE_MS);

  it("shows a text if its script cannot be loaded", async () => {
    const { server } = await sharedStage();
    await using visited = await visit(`${server.url}/#/tasks`, { javaScriptEnabled: false });
    await visited.page.getByText("The console is loading. If this text stays").waitFor();
  });
});
