import assert from "node:assert/strict";
import { chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/client.ts";
import { buildah } from "../../scripts/image/buildah.ts";
import { createDatabase } from "../support/postgres.ts";
import { eventually } from "../support/eventually.ts";
import { startContained } from "./contained-server.ts";
import type { ContainedServer } from "./contained-server.ts";
import { buildOnTop, checkoutVersion, mountImage } from "./mounted-image.ts";
import type { MountedImage } from "./mounted-image.ts";

const ROOT = join(import.meta.dirname, "../..");
const IMAGE = `localhost/spool:${checkoutVersion()}`;
const SIZE_MAX = 250_000_000;
const TOKEN = "image-token";
const USER = 65_532;

describe("the image", () => {
  let image: MountedImage;
  before(() => {
    image = mountImage(IMAGE);
  });
  after(() => image?.[Symbol.dispose]());

  it("has at most 250 MB", () => {
    console.log(`      the image has ${(image.size / 1e6).toFixed(1)} MB of at most ${SIZE_MAX / 1e6}`);
    assert.ok(image.size <= SIZE_MAX, `${image.size} bytes`);
  });

  it("has the labels of OCI, and a user that is not root", () => {
    const { Labels, User, StopSignal } = image.config;
    assert.deepEqual([User, StopSignal], [`${USER}:${USER}`, "SIGTERM"]);
    for (const name of ["title", "description", "licenses", "version", "revision", "created"]) {
      assert.ok(Labels[`org.opencontainers.image.${name}`], name);
    }
    assert.equal(Labels["org.opencontainers.image.version"], checkoutVersion());
  });

  it("refuses to listen without a token", async () => {
    const started = startContained(image, { environment: { SPOOL_DATABASE_URL: "postgres://127.0.0.1:1/none" } });
    await assert.rejects(started, /ended with 2:[^]*SPOOL_TOKEN: must be set/);
  });

  it("serves on Postgres with nothing writable, and stops on SIGTERM with 0 and no process left", async () => {
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_TOKEN: TOKEN };
    await using server = await startContained(image, { environment });
    const { writable, uid, capabilities } = server.rights();
    assert.deepEqual([writable, uid], [[], `${USER}\t${USER}\t${USER}\t${USER}`]);
    assert.match(capabilities, /^0+$/);
    await serveTask(server);
    await stop(server);
  });

  it("serves on its embedded database in /data, and finds its tasks there after a restart", async () => {
    const data = mkdtempSync(join(tmpdir(), "spool-image-data-"));
    try {
      chownSync(data, USER, USER);
      const options = { environment: { SPOOL_TOKEN: TOKEN }, data };
      await using first = await startContained(image, options);
      assert.deepEqual(first.rights().writable, ["/data"]);
      const taskId = await serveTask(first);
      await stop(first);
      await using second = await startContained(image, options);
      using client = connect({ address: second.address, token: TOKEN });
      assert.equal((await client.get({ taskId })).status, "succeeded");
      await stop(second);
    } finally {
      rmSync(data, { recursive: true });
    }
  });

  it("serves kinds of an image on top, as docs/deploy.md builds it", async () => {
    const [, dockerfile] = /```Dockerfile\n(.*?)```/s.exec(readFileSync(join(ROOT, "docs/deploy.md"), "utf8"))!;
    const tag = "localhost/spool-kinds";
    buildOnTop({ dockerfile: dockerfile!.replace(/^FROM .*/, `FROM ${IMAGE}`), folder: join(ROOT, "examples"), tag });
    using cleanup = new DisposableStack();
    cleanup.defer(() => buildah("rmi", tag));
    const onTop = cleanup.use(mountImage(tag));
    await using database = await createDatabase();
    const environment = { SPOOL_DATABASE_URL: database.url, SPOOL_TOKEN: TOKEN };
    await using server = await startContained(onTop, { environment });
    using client = connect({ address: server.address, token: TOKEN });
    const { task } = await client.start({ kind: "count-words", params: { files: ["/app/package.json"] } });
    assert.equal((await client.result({ taskId: task.taskId, waitMs: 10_000 })).status, "succeeded");
    await stop(server);
  });

  it("is unhealthy while its database does not answer", async () => {
    const environment = { SPOOL_DATABASE_URL: "postgres://127.0.0.1:1/none", SPOOL_TOKEN: TOKEN };
    await using server = await startContained(image, { environment });
    const { code, output } = await server.checkHealth();
    assert.deepEqual([code, output], [1, `${server.address} is not SERVING\n`]);
    await stop(server);
  });
});

/** Waits until the health check succeeds, and runs a task to its end. @returns its id */
async function serveTask(server: ContainedServer): Promise<string> {
  await eventually(async () => {
    const { code, output } = await server.checkHealth();
    assert.deepEqual([code, output.split(", ")[0]], [0, `${server.address} is SERVING`], output);
  });
  using client = connect({ address: server.address, token: TOKEN });
  const { task } = await client.start({ kind: "echo", params: { count: 3, delay_ms: 10 } });
  const types = [];
  for await (const { type } of client.follow({ taskId: task.taskId })) types.push(type);
  assert.deepEqual([types[0], types.at(-1)], ["started", "final"]);
  return task.taskId;
}

async function stop(server: ContainedServer): Promise<void> {
  assert.deepEqual(server.processes(), ["1"], "besides the server, nothing is left to be killed");
  assert.equal(await server.stop("SIGTERM"), 0);
  const messages = server
    .output()
    .split("\n")
    .filter((line) => line.startsWith("{")); // The log, as JSON.
  assert.equal((JSON.parse(messages.at(-1)!) as { msg: string }).msg, "server: stopped");
}
