import assert from "node:assert/strict";
import { sql } from "kysely";
import { StoreUnavailable } from "../../../src/domain/errors.ts";
import { DatabaseMisconfigured, NotWritable } from "../../../src/store/connection/session-check.ts";
import { openDatabase } from "../../../src/store/database.ts";
import { makeCertificate } from "../../support/certificates.ts";
import type { CertificateFiles } from "../../support/certificates.ts";
import { freePort } from "../../support/free-port.ts";
import { startServer } from "../../support/postgres.ts";
import type { PostgresServer } from "../../support/postgres.ts";

/** For a test that starts a server. */
const SERVER_MS = 60_000;

/** Whether the connection of a URL is encrypted. @throws what opening it throws */
async function isEncrypted(url: string): Promise<boolean> {
  const store = await openDatabase({ url, connectionsMax: 1 });
  try {
    const { rows } = await sql<{ ssl: boolean }>`
      select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(store.db);
    return rows[0]!.ssl;
  } finally {
    await store.close();
  }
}

async function causeOf(url: string): Promise<Error> {
  const error: unknown = await isEncrypted(url).catch((reason: unknown) => reason);
  assert.ok(error instanceof StoreUnavailable, String(error));
  return error.cause as Error;
}

function withQuery(server: string, query: Record<string, string>, hostname?: string): string {
  const url = new URL(server);
  if (hostname !== undefined) url.hostname = hostname;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

describe("a server with a self-signed certificate", () => {
  let server: PostgresServer;
  let certificate: CertificateFiles;
  let other: CertificateFiles;
  before(async () => {
    certificate = makeCertificate();
    other = makeCertificate();
    server = await startServer({
      settings: { ssl: "on" },
      files: { "server.crt": certificate.cert, "server.key": certificate.key },
    });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    certificate?.[Symbol.dispose]();
    other?.[Symbol.dispose]();
  });

  for (const [mode, isOn] of [
    ["disable", false],
    ["allow", false],
    ["prefer", true],
    ["require", true],
    ["no-verify", true],
  ] as const) {
    it(`accepts sslmode=${mode}, ${isOn ? "encrypted" : "in plain text"}`, async () => {
      assert.equal(await isEncrypted(withQuery(server.url, { sslmode: mode })), isOn);
    });
  }

  it("is verified against a given root certificate with require, verify-ca and verify-full", async () => {
    const known = { sslrootcert: certificate.certFile };
    for (const sslmode of ["require", "verify-ca", "verify-full"])
      assert.equal(await isEncrypted(withQuery(server.url, { ...known, sslmode })), true);
    for (const sslmode of ["require", "verify-ca", "verify-full"]) {
      const cause = await causeOf(withQuery(server.url, { sslmode, sslrootcert: other.certFile }));
      assert.ok(cause instanceof DatabaseMisconfigured, String(cause));
      assert.match(cause.message, new RegExp(`no authority that sslmode=${sslmode} trusts .* sslrootcert=FILE`));
    }
  });

  it("is refused only with verify-full if its certificate has another name", async () => {
    const known = { sslrootcert: certificate.certFile };
    // It reaches the same server, and is no name of the certificate's.
    const named = (sslmode: string) => withQuery(server.url, { ...known, sslmode }, "0.0.0.0");
    assert.equal(await isEncrypted(named("verify-ca")), true);
    const cause = await causeOf(named("verify-full"));
    assert.match(cause.message, /certificate is for another host .* sslmode=verify-ca/);
  });

  it("that no known authority has signed is refused with verify-full, and the error says what to do", async () => {
    const cause = await causeOf(withQuery(server.url, { sslmode: "verify-full" }));
    assert.match(cause.message, /set sslrootcert=FILE to .*, or use sslmode=require/);
  });

  it("is not contacted if the file of the root certificate is missing", async () => {
    const cause = await causeOf(withQuery(server.url, { sslmode: "verify-full", sslrootcert: "/nowhere/ca.pem" }));
    assert.match(cause.message, /^sslrootcert in the database URL: ENOENT/);
  });
});

describe("a server without TLS", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.[Symbol.asyncDispose]());

  it("accepts disable, allow and prefer in plain text", async () => {
    for (const sslmode of ["disable", "allow", "prefer"])
      assert.equal(await isEncrypted(withQuery(server.url, { sslmode })), false);
  });

  it("is refused with the other modes, and the error says what to do", async () => {
    for (const sslmode of ["require", "verify-ca", "verify-full"]) {
      const cause = await causeOf(withQuery(server.url, { sslmode }));
      assert.ok(cause instanceof DatabaseMisconfigured);
      const expected = new RegExp(
        `does not speak TLS, which sslmode=${sslmode} requires: turn ssl on .* sslmode=prefer`,
      );
      assert.match(cause.message, expected);
    }
  });

  it("is chosen among several hosts if it is the first one that takes writes", async () => {
    await using readOnly = await startServer({ settings: { default_transaction_read_only: "on" } });
    await using standby = await startServer({ files: { "standby.signal": "" } });
    const gone = await freePort();
    const url = (...hosts: string[]) => `postgres://postgres@${hosts.join(",")}/postgres`;
    const unwritable = [`127.0.0.1:${gone}`, new URL(readOnly.url).host, new URL(standby.url).host];
    const store = await openDatabase({ url: url(...unwritable, new URL(server.url).host) });
    const { rows } = await sql<{ port: string }>`select current_setting('port') as port`.execute(store.db);
    assert.equal(rows[0]!.port, new URL(server.url).port);
    await store.close();
    const cause = await causeOf(url(...unwritable));
    assert.match(cause.message, /^no host of .* leads to a writable primary \(.*ECONNREFUSED.*read-only.*standby/);
    assert.ok(cause.cause instanceof NotWritable);
  }).timeout(SERVER_MS);
});
