import assert from "node:assert/strict";
import { PARAMS_BYTES_MAX } from "../../src/domain/limits.ts";
import { consoleFiles } from "../../src/server/http/console-files.ts";
import { sharedBrowser } from "../browser/support/stage.ts";
import { openServed } from "../contract/served.ts";
import type { Served } from "../contract/served.ts";
import { freePort } from "../support/free-port.ts";
import { documentedProxy } from "./support/documented-proxies.ts";
import { startNginx } from "./support/nginx.ts";
import { proxiedContract, proxiedWorkerContract } from "./support/proxied-contract.ts";

describe("through nginx with its defaults,", () => {
  const opened = new AsyncDisposableStack();
  let served: Served;
  before(async () => {
    const server = opened.use(await openServed({ fallback: consoleFiles() }));
    const [httpPort, grpcPort] = [await freePort(), await freePort()];
    const http = `
      server { listen 127.0.0.1:${httpPort}; location / { proxy_pass ${server.url}; } }
      server { listen 127.0.0.1:${grpcPort} http2; location / { grpc_pass grpc://${server.address}; } }`;
    opened.use(await startNginx({ http, ports: [httpPort, grpcPort] }));
    served = { ...server, url: `http://127.0.0.1:${httpPort}`, address: `127.0.0.1:${grpcPort}` };
  });
  after(() => opened[Symbol.asyncDispose]());

  proxiedContract(() => served);

  it("the console shows that nginx replaces Host, and the fix", async () => {
    const page = await (await sharedBrowser()).newPage();
    await page.goto(served.url);
    await page.getByRole("heading", { name: "The server refuses this page" }).waitFor();
    assert.ok((await page.getByRole("main").innerText()).includes(`SPOOL_HTTP_ORIGINS=${served.url}`));
    await page.close();
  });
});

describe("through nginx as in docs/proxies.md,", () => {
  const opened = new AsyncDisposableStack();
  let served: Served;
  before(async () => {
    const at = { url: "", address: "" };
    const workerAt = async ({ address, url }: { address: string; url: string }) => {
      const {
        configuration,
        at: proxied,
        ports,
      } = await documentedProxy("nginx", {
        http: new URL(url).host,
        grpc: address,
      });
      opened.use(await startNginx({ http: configuration, ports }));
      at.url = `http://${proxied.http}`;
      at.address = proxied.grpc;
      return at.address;
    };
    const server = opened.use(await openServed({ byWorker: true, workerAt, fallback: consoleFiles() }));
    served = { ...server, ...at };
  });
  after(() => opened[Symbol.asyncDispose]());

  proxiedWorkerContract(() => served);

  it("the console shows each event before the task continues", async () => {
    const page = await (await sharedBrowser()).newPage();
    const actor = served.stage.actor();
    const { task } = await start(served.url, { kind: "stage", params: actor.params });
    await page.goto(`${served.url}/#/tasks/${task.taskId}`);
    const running = await actor.enter();
    for (const text of ["the first line", "the second line"]) {
      await running.log("INFO", text);
      await page.getByText(text).first().waitFor();
    }
    actor.leave({});
    await page.getByRole("heading", { name: "Result" }).waitFor();
    await page.close();
  });

  it("a start with params of the maximum size is accepted", async () => {
    const actor = served.stage.actor();
    const room = PARAMS_BYTES_MAX - JSON.stringify({ key: "" }).length;
    const { task } = await start(served.url, { kind: "stage", params: { key: actor.params.key.padEnd(room, "x") } });
    assert.match(task.taskId, /^[0-9a-f-]{36}$/);
  });
});

async function start(url: string, request: object): Promise<{ task: { taskId: string } }> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify(request);
  const answer = await fetch(`${url}/spool.v1.TaskService/StartTask`, { method: "POST", headers, body });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text) as { task: { taskId: string } };
}
