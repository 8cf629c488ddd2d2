import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { consoleFiles } from "../../../src/server/http/console-files.ts";
import { openHttpServer } from "../../../src/server/http/http-server.ts";
import type { HttpServer } from "../../../src/server/http/http-server.ts";

const SCRIPT = `console.log(${JSON.stringify("x".repeat(2_000))})`;

describe("the console's files", () => {
  const folder = mkdtempDisposableSync(join(tmpdir(), "spool-console-"));
  let server: HttpServer;
  before(async () => {
    mkdirSync(join(folder.path, "assets"));
    writeFileSync(join(folder.path, "index.html"), "<!doctype html>");
    writeFileSync(join(folder.path, "assets", "main-ABC.js"), SCRIPT);
    writeFileSync(join(folder.path, "secret.txt"), "not to be served");
    server = await openHttpServer({ host: "127.0.0.1", port: 0, handler: consoleFiles(folder.path) });
  });
  after(async () => {
    await server.close({ graceMs: 0 });
    folder[Symbol.dispose]();
  });

  it("are a page that browsers revalidate and assets that browsers cache forever", async () => {
    const page = await ask(server, "/");
    assert.deepEqual([page.status, page.headers["cache-control"]], [200, "no-cache"]);
    assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
    const script = await ask(server, "/assets/main-ABC.js?v=1");
    assert.equal(script.body.toString(), SCRIPT);
    assert.equal(script.headers["cache-control"], "public, max-age=31536000, immutable");
    assert.equal(script.headers["content-type"], "text/javascript; charset=utf-8");
  });

  it("restrict the page to its own origin in every response", async () => {
    for (const path of ["/", "/assets/main-ABC.js", "/missing"]) {
      const { headers } = await ask(server, path);
      const policy = headers["content-security-policy"]!.toString().split("; ");
      assert.equal(policy[0], "default-src 'none'");
      assert.ok(
        policy.every((directive) => !/unsafe|\*|https?:|data:/.test(directive)),
        policy.join("; "),
      );
      for (const closed of ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) {
        assert.ok(policy.includes(closed), closed);
      }
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["referrer-policy"], "no-referrer");
    }
  });

  it("are compressed for clients that accept gzip", async () => {
    const plain = await ask(server, "/assets/main-ABC.js");
    assert.equal(plain.headers["content-encoding"], undefined);
    const packed = await ask(server, "/assets/main-ABC.js", { headers: { "accept-encoding": "br, gzip" } });
    assert.equal(packed.headers["content-encoding"], "gzip");
    assert.ok(packed.body.length < plain.body.length);
    assert.deepEqual(gunzipSync(packed.body), plain.body);
    assert.equal(packed.headers["vary"], "accept-encoding");
  });

  it("are not sent again to a client that has them cached", async () => {
    const { headers } = await ask(server, "/");
    const again = await ask(server, "/", { headers: { "if-none-match": headers["etag"]!.toString() } });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
  });

  it("answer HEAD without a body and refuse other methods", async () => {
    const head = await ask(server, "/", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, "15", 0]);
    const post = await ask(server, "/", { method: "POST" });
    assert.deepEqual([post.status, post.headers["allow"]], [405, "GET, HEAD"]);
  });

  it("exclude every path outside the folder", async () => {
    for (const path of [
      "/index.html",
      "/secret.txt",
      "/assets/",
      "/assets/../index.html",
      "/%2e%2e/package.json",
      "//",
    ]) {
      assert.equal((await ask(server, path)).status, 404, path);
    }
  });

  it("explain how to build the console if it is not built", async () => {
    const unbuilt = await openHttpServer({
      host: "127.0.0.1",
      port: 0,
      handler: consoleFiles(join(folder.path, "no")),
    });
    const { status, body } = await ask(unbuilt, "/");
    assert.equal(status, 503);
    assert.match(body.toString(), /npm run build:console/);
    await unbuilt.close({ graceMs: 0 });
  });
});

/** As it is written: fetch would tidy the path up. */
async function ask(
  { port }: HttpServer,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: IncomingMessage["headers"]; body: Buffer }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, agent: false, ...options }, resolve)
      .on("error", reject)
      .end();
  });
  return { status: response.statusCode!, headers: response.headers, body: await buffer(response) };
}
