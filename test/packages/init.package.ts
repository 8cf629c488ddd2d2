import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { startProcess } from "../support/printing-process.ts";
import { emptyFolder, nodeOf, TARBALLS } from "./support/installed.ts";
import { installedServer } from "./support/installed-server.ts";
import { report } from "./support/report.ts";

const run = promisify(execFile);

describe("a project that spool init makes", () => {
  let folder: string;
  let node: string;

  before(async () => {
    node = await nodeOf(24);
    folder = join(emptyFolder(), "tasks");
    await run(node, [join(await installedServer(), "node_modules", ".bin", "spool"), "init", folder]);
    const file = join(folder, "package.json");
    const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> };
    // The version of this checkout is on no registry: its tarballs stand for it.
    manifest.dependencies["@spooltape/client"] = `file:${TARBALLS.client}`;
    manifest.dependencies["spooltape"] = `file:${TARBALLS.server}`;
    writeFileSync(file, JSON.stringify(manifest));
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: folder });
  });

  it("passes its own test and the strict compiler", async () => {
    const { stdout } = await run(node, ["--test"], { cwd: folder });
    assert.match(stdout, /pass 1\n/);
    await run(node, [join(folder, "node_modules", ".bin", "tsc")], { cwd: folder });
  });

  it("runs a task: a server, a worker, and a caller that follows it", async () => {
    const spool = join(folder, "node_modules", ".bin", "spool");
    const ports = { SPOOL_PORT: "0", SPOOL_HTTP_PORT: "0", SPOOL_DATA_DIR: join(folder, "data") };
    await using server = startProcess(node, { args: [spool, "serve"], environment: ports });
    const [, address = ""] = await server.next(/^gRPC +(\S+)$/);
    const environment = { SPOOL_ADDRESS: address };
    await using _worker = startProcess(node, { args: [join(folder, "worker.ts")], environment });
    const { stdout } = await run(node, ["start.ts"], { cwd: folder, env: { ...process.env, ...environment } });
    assert.match(stdout, /succeeded \{ words: 10 \}/);
    report("spool init", "npm install, node --test, tsc, serve, worker and caller ran");
  });
});
