import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { makeCertificate } from "../support/certificates.ts";
import { createDatabase } from "../support/postgres.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { runSpool } from "./spool-process.ts";

const TIMEOUT_MS = 60_000;
/** A port of 127.0.0.1 on which nothing listens: reserved, and never given out as a free port. */
const CLOSED_PORT = "1";

describe("spool health", function () {
  this.timeout(TIMEOUT_MS);
  let database: TestDatabase;
  before(async () => {
    database = await createDatabase();
  });
  after(() => database?.[Symbol.asyncDispose]());

  it("exits with 0 while the server is ready, and with 1 when it is gone", async () => {
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: database.url } });
    const ready = await runSpool(["health", "--address", server.address]);
    assert.deepEqual([ready.code, ready.stderr], [0, ""]);
    assert.match(ready.stdout, new RegExp(`^${server.address} is SERVING, answered in .*\n$`));
    const json = await runSpool(["health", "--json"], { environment: { SPOOL_ADDRESS: server.address } });
    assert.equal(JSON.parse(json.stdout).ready, true);
    assert.equal(await server.end("SIGTERM"), 0);
    const gone = await runSpool(["health", "--json", "--address", server.address]);
    assert.equal(gone.code, 1);
    const { ready: isReady, found } = JSON.parse(gone.stdout);
    assert.deepEqual([isReady, found.startsWith(`${server.address} does not answer: `)], [false, true]);
  });

  it("exits with 1 if the server waits for its database", async () => {
    const url = `postgres://postgres@127.0.0.1:${CLOSED_PORT}/none`;
    await using server = await startServerProcess({ environment: { SPOOL_DATABASE_URL: url } });
    const { code, stdout } = await runSpool(["health", "--address", server.address]);
    assert.deepEqual([code, stdout], [1, `${server.address} is not SERVING\n`]);
  });

  it("checks the server with its own settings, whatever name the certificate is for and without the token", async () => {
    using certificate = makeCertificate("DNS:spool.example");
    const settings = { SPOOL_TLS_CERT: certificate.certFile, SPOOL_TLS_KEY: certificate.keyFile };
    const serving = { SPOOL_HOST: "0.0.0.0", SPOOL_TOKEN: "secret", SPOOL_DATABASE_URL: database.url };
    await using server = await startServerProcess({ environment: { ...settings, ...serving } });
    const environment = { ...settings, SPOOL_PORT: server.address.split(":").at(-1)! };
    const { code, stdout } = await runSpool(["health"], { environment });
    assert.deepEqual(
      [code, stdout.split(" answered")[0]],
      [0, `https://127.0.0.1:${environment.SPOOL_PORT} is SERVING,`],
    );
  });

  it("exits with 1 after its timeout if the server does not answer", async () => {
    const silent = createServer(() => {});
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const connected = once(silent, "connection");
    const { code, stdout } = await runSpool(["health", "--address", address, "--timeout", "300ms"]);
    assert.equal(code, 1);
    assert.ok(stdout.startsWith(`${address} does not answer: `), stdout);
    const [socket] = await connected;
    socket.destroy();
    silent.close();
  });

  it("exits with 2 for a timeout out of its bounds", async () => {
    for (const timeout of ["0", "61s"]) {
      const { code, stderr } = await runSpool(["health", "--timeout", timeout]);
      assert.equal(code, 2);
      assert.match(stderr, /It must be from 1ms to 60s\./);
    }
  });
});
