import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { sharedBrowser } from "../browser/support/stage.ts";
import { startProcess } from "../support/printing-process.ts";
import { emptyFolder, measure, nodeOf, TARBALLS } from "./support/installed.ts";
import { startInstalledServer } from "./support/installed-server.ts";
import type { InstalledServer } from "./support/installed-server.ts";
import { report } from "./support/report.ts";

const run = promisify(execFile);

describe("the server, installed from its tarball", () => {
  let server: InstalledServer;
  before(async () => {
    server = await startInstalledServer();
    const { packages, megabytes } = await measure(server.folder);
    report("server and client, installed", `${packages} packages, ${megabytes} MB`);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await (await sharedBrowser()).close();
  });

  const spool = async (...words: string[]) => {
    const command = join(server.folder, "node_modules", ".bin", "spool");
    const { stdout } = await run(await nodeOf(24), [command, ...words, "--address", server.address]);
    return stdout;
  };

  it("runs kinds of a user in TypeScript and in JavaScript", async () => {
    const greeting = await spool("start", "greet", "--params", '{"name": "Ada"}', "--wait");
    assert.match(greeting, /"greeting":"hello Ada"/);
    assert.match(await spool("start", "shout", "--params", '{"text": "hey"}', "--wait"), /"text":"HEY"/);
  });

  it("ends a task with the reason that code of a user threw, and names fields that a kind refuses", async () => {
    const failed = await spool("start", "greet", "--params", '{"name": "nobody"}', "--wait").catch(outputOf);
    assert.match(failed, /NOBODY/);
    const refused = await spool("start", "greet", "--params", '{"name": ""}').catch(outputOf);
    assert.match(refused, /params\.name/);
  });

  it("shows its tasks in the console", async () => {
    await spool("start", "greet", "--params", '{"name": "Grace"}', "--wait");
    const page = await (await sharedBrowser()).newPage();
    await page.goto(server.url);
    await page.getByText("greet").first().waitFor();
    assert.equal(await page.title(), "Tasks · Spool");
    await page.close();
  });

  it("lists tasks, prints its version, and checks its database", async () => {
    assert.match(await spool("list"), /greet +succeeded/);
    const command = join(server.folder, "node_modules", ".bin", "spool");
    const { stdout } = await run(await nodeOf(24), [command, "--version"]);
    assert.match(stdout, /^0\.2\.0\n$/);
  });

  it("is started in a test of a user, with a database in memory", async () => {
    const test = join(server.folder, "server-test.mjs");
    writeFileSync(
      test,
      `import { startTestServer } from "@spooltape/client/testing";
       import { greet } from "./kinds.ts";
       const begun = performance.now();
       await using server = await startTestServer({ kinds: [greet] });
       const ms = Math.round(performance.now() - begun);
       const { task } = await server.client.start({ kind: "greet", params: { name: "test" } });
       const { result } = await server.client.result({ taskId: task.taskId, waitMs: 10_000 });
       console.log(JSON.stringify({ ms, result }));`,
    );
    const { stdout } = await run(await nodeOf(24), [test]);
    const { ms, result } = JSON.parse(stdout) as { ms: number; result: unknown };
    assert.deepEqual(result, { greeting: "hello test" });
    report("startTestServer", `${ms} ms to a server that takes calls`);
  });
});

describe("a machine with Node 24 and no checkout", () => {
  it("follows a first task after two commands", async () => {
    // Nothing but Node and npm on the PATH, an empty home, and an empty folder. npm keeps its cache of packages.
    const home = emptyFolder();
    const bin = join(home, "bin");
    mkdirSync(bin);
    const node = await nodeOf(24);
    symlinkSync(node, join(bin, "node"));
    const npm = join(dirname(await realNpm()), "npx-cli.js");
    const environment = {
      HOME: home,
      PATH: `${bin}:/usr/bin:/bin`,
      npm_config_prefer_offline: "true",
      npm_config_cache: await cache(),
    };
    const ports = { SPOOL_PORT: "0", SPOOL_HTTP_PORT: "0", SPOOL_DATA_DIR: join(home, "data") };
    const npx = ["--yes", `--package=${TARBALLS.server}`, "spooltape"];
    const begun = performance.now();
    await using server = startProcess(node, {
      args: [npm, ...npx, "serve"],
      environment: { ...environment, ...ports },
    });
    const [, address = ""] = await server.next(/^gRPC +(\S+)$/);
    const served = performance.now();
    const { stdout } = await run(node, [npm, ...npx, "start", "echo", "--wait", "--address", address], {
      env: environment,
      cwd: home,
    });
    assert.match(stdout, /succeeded/);
    const seconds = (ms: number) => (ms / 1_000).toFixed(1);
    report(
      "two commands to the first followed task",
      `${seconds(performance.now() - begun)} s, of which ${seconds(served - begun)} s install and start the server`,
    );
    assert.ok(readdirSync(home).includes("data"));
  });
});

function outputOf(error: { stdout: string; stderr: string }): string {
  return error.stdout + error.stderr;
}

/** Returns npm's own code, which any Node runs. */
async function realNpm(): Promise<string> {
  return realpathSync((await run("sh", ["-c", "command -v npm"])).stdout.trim());
}

async function cache(): Promise<string> {
  return (await run("npm", ["config", "get", "cache"])).stdout.trim();
}
