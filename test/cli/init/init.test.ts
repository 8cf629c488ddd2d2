import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtempDisposable, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import manifest from "../../../package.json" with { type: "json" };
import { readConfiguration } from "../../../src/server/config/configuration.ts";
import { startServerProcess } from "../../support/server-process.ts";
import { runSpool } from "../spool-process.ts";

const TIMEOUT_MS = 60_000;
const MODULES = join(import.meta.dirname, "../../../node_modules");
const FILES = [
  ".gitignore",
  "README.md",
  "compose.yaml",
  "kinds.test.ts",
  "kinds.ts",
  "package.json",
  "start.ts",
  "tsconfig.json",
  "worker.ts",
];
const run = promisify(execFile);

describe("spool init", function () {
  this.timeout(TIMEOUT_MS);
  let folder: Awaited<ReturnType<typeof mkdtempDisposable>>;
  let project: string;

  before(async () => {
    folder = await mkdtempDisposable(join(tmpdir(), "spool-init-"));
    project = join(folder.path, "My Project");
    const { code, stdout, stderr } = await runSpool(["init", project]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.ok(stdout.includes(`\n  cd '${project}'\n  npm install\n`), stdout);
    const modules = join(project, "node_modules");
    await mkdir(join(modules, "@spooltape"), { recursive: true });
    await symlink(join(MODULES, "@spooltape", "client"), join(modules, "@spooltape", "client"));
    for (const name of ["@types", "valibot"]) await symlink(join(MODULES, name), join(modules, name));
  });
  after(() => folder?.remove());

  it("makes the files of a project, with the version of this program and a name that npm allows", async () => {
    const names = (await readdir(project)).filter((name) => name !== "node_modules");
    assert.deepEqual(names.toSorted(), FILES);
    for (const name of FILES) assert.doesNotMatch(await readFile(join(project, name), "utf8"), /__[A-Z_]+__/, name);
    const made = JSON.parse(await readFile(join(project, "package.json"), "utf8"));
    assert.equal(made.name, "my-project");
    const { version, devDependencies, dependencies, engines } = manifest;
    const { valibot } = dependencies;
    assert.deepEqual(made.dependencies, { "@spooltape/client": version, spooltape: version, valibot });
    const { typescript, "@types/node": types } = devDependencies;
    assert.deepEqual(made.devDependencies, { "@types/node": types, typescript });
    assert.deepEqual(made.engines, engines);
  });

  it("makes files that the strict compiler accepts", async () => {
    await run(join(MODULES, ".bin", "tsc"), ["-p", project]);
  });

  it("makes a test that passes, and that fails if the kind is wrong", async () => {
    const test = () => run(process.execPath, ["--test"], { cwd: project, env: { PATH: process.env["PATH"] } });
    assert.match((await test()).stdout, /pass 1\n/);
    const kinds = join(project, "kinds.ts");
    const source = await readFile(kinds, "utf8");
    await writeFile(kinds, source.replace("words +=", "words -="));
    await assert.rejects(test(), /Command failed/);
    await writeFile(kinds, source);
  });

  it("makes a worker and a caller that run a task at a server", async () => {
    await using server = await startServerProcess({ environment: { SPOOL_DATA_DIR: join(folder.path, "data") } });
    const env = { PATH: process.env["PATH"], SPOOL_ADDRESS: server.address };
    const worker = spawn(process.execPath, ["worker.ts"], {
      cwd: project,
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
    const ended = once(worker, "exit");
    try {
      const { stdout } = await run(process.execPath, ["start.ts"], { cwd: project, env, timeout: TIMEOUT_MS });
      assert.match(stdout, /^started \S+\ncount 1\/2\ncount 2\/2\nsucceeded \{ words: 10 \}\n$/);
    } finally {
      worker.kill("SIGTERM");
      await ended;
    }
  });

  it("makes a compose file with settings that the server knows", async () => {
    const { services } = parse(await readFile(join(project, "compose.yaml"), "utf8"));
    assert.equal(services.postgres.image, "postgres:18");
    const environment = { ...services.spool.environment, SPOOL_TOKEN: "development" };
    const { host, token, databaseUrl } = readConfiguration({ environment });
    const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: name } = services.postgres.environment;
    assert.deepEqual(
      [host, token, databaseUrl],
      ["0.0.0.0", "development", `postgres://${user}:${password}@postgres/${name}`],
    );
    assert.deepEqual(services.spool.ports, ["127.0.0.1:50051:50051", "127.0.0.1:8080:8080"]);
  });

  it("works in an empty folder and beside other files, and prints JSON with --json", async () => {
    for (const others of [[], ["LICENSE"]]) {
      await using other = await mkdtempDisposable(join(tmpdir(), "spool-init-"));
      for (const name of others) await writeFile(join(other.path, name), "");
      const { code, stdout } = await runSpool(["init", other.path, "--json"]);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), { folder: other.path, files: FILES });
    }
  });

  it("overwrites nothing: it names the files that exist, and writes no other", async () => {
    await using other = await mkdtempDisposable(join(tmpdir(), "spool-init-"));
    await writeFile(join(other.path, "kinds.ts"), "mine");
    const { code, stdout, stderr } = await runSpool(["init", other.path]);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.equal(
      stderr,
      `spool: init: ${other.path} has files that init would overwrite; remove them or give another folder\n  kinds.ts\n`,
    );
    assert.deepEqual(await readdir(other.path), ["kinds.ts"]);
    const file = await runSpool(["init", join(other.path, "kinds.ts")]);
    assert.equal(file.code, 2);
    assert.match(file.stderr, /kinds\.ts is not a folder; give a new or an empty folder\n$/);
  });
});
