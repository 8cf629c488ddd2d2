import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { connect } from "../../src/client/client.ts";
import { SpoolRpcError } from "../../src/codec/rpc-error.ts";
import { Scope } from "../../src/gen/spool/v1/access_pb.ts";
import { AdminService } from "../../src/gen/spool/v1/admin_service_pb.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import type { IssuedCertificate } from "../support/certificate-authority.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase } from "../support/postgres.ts";
import { startServerProcess } from "../support/server-process.ts";
import { openTokenIssuer } from "../support/token-issuer.ts";

const ROOT = "the-root-token";
const [FIRST, SECOND] = ["first-file-token", "second-file-token"];
const GRANTS = { namespaces: ["default"], scopes: ["tasks:read"] };
/** For each of four credentials, at each of two ports. */
const STREAMS = 25;
const BOUNDS = { timeoutMs: 30_000 };

interface Credential {
  token?: string;
  certificate?: IssuedCertificate;
}

/** An open stream, and how it ended. */
interface Stream {
  credential: Credential;
  end: unknown;
}

describe("credentials that change under 100 open streams at each port", () => {
  it("end the streams of a vanished or revoked credential, and no others", async () => {
    using authority = makeAuthority();
    await using database = await createDatabase();
    await using issuer = await openTokenIssuer();
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-reload-"));
    const path = (name: string) => join(folder.path, name);
    const write = (name: string, content: unknown) =>
      writeFile(path(name), Buffer.isBuffer(content) ? content : JSON.stringify(content));
    const accessFile = (tokens: readonly string[]) => ({
      tokens: tokens.map((token, index) => ({
        name: `file-${index}`,
        sha256: createHash("sha256").update(token).digest("hex"),
        grants: GRANTS,
      })),
      certificates: [{ match: "CN:streams", grants: GRANTS }],
      jwt: [{ issuer: issuer.issuer, audience: issuer.audience, jwks: "keys.json", grants: GRANTS }],
    });
    const serverCertificate = async () => {
      const issued = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1");
      await Promise.all([write("cert.pem", issued.cert), write("key.pem", issued.key)]);
      return new X509Certificate(issued.cert).fingerprint256;
    };
    await serverCertificate();
    await write("access.json", accessFile([FIRST]));
    await write("keys.json", issuer.keySet());
    const environment = {
      SPOOL_DATABASE_URL: database.url,
      SPOOL_TOKEN: ROOT,
      SPOOL_TLS_CERT: path("cert.pem"),
      SPOOL_TLS_KEY: path("key.pem"),
      SPOOL_TLS_CLIENT_CA: authority.caFile,
      SPOOL_ACCESS_FILE: path("access.json"),
    };
    await using server = await startServerProcess({ environment });
    const address = server.address.replace("127.0.0.1", "localhost");
    const tlsOf = ({ certificate }: Credential) => ({
      ca: authority.ca,
      ...(certificate && { cert: certificate.cert, key: certificate.key }),
    });
    const clientOf = (credential: Credential) =>
      connect({ address, token: credential.token, tls: tlsOf(credential), retryMs: 0 });
    const transportOf = (credential: Credential) =>
      createConnectTransport({ baseUrl: server.url, httpVersion: "2", nodeOptions: tlsOf(credential) });
    const headersOf = ({ token }: Credential) => (token === undefined ? {} : { authorization: `Bearer ${token}` });

    const admin = createClient(AdminService, transportOf({}));
    const { token, created } = await admin.createToken(
      { name: "streams", grants: { namespaces: ["default"], scopes: [Scope.TASKS_READ] } },
      { headers: headersOf({ token: ROOT }) },
    );
    const credentials = {
      file: { token: FIRST },
      database: { token },
      jwt: { token: await issuer.sign() },
      certificate: { certificate: authority.issue("streams", "DNS:streams") },
    };
    const clients = Object.values(credentials).map((credential) => ({ credential, client: clientOf(credential) }));
    await using clean = new AsyncDisposableStack();
    clean.defer(() => clients.forEach(({ client }) => client.close()));

    const streams: Stream[] = [];
    const opened: Promise<unknown>[] = [];
    const watch = (credential: Credential, frames: AsyncIterable<unknown>) => {
      const stream: Stream = { credential, end: null };
      streams.push(stream);
      const { promise, resolve } = Promise.withResolvers<void>();
      opened.push(promise);
      void (async () => {
        try {
          for await (const _ of frames) resolve();
          stream.end = "ended";
        } catch (error) {
          stream.end = error;
        }
        resolve();
      })();
    };
    for (const { credential, client } of clients) {
      const http = createClient(TaskService, transportOf(credential));
      for (let count = 0; count < STREAMS; count++) {
        watch(credential, client.followTasks({}, { retryMs: 0 }));
        watch(credential, http.followTasks({}, { headers: headersOf(credential) }));
      }
    }
    await Promise.all(opened);
    const ended = () => streams.filter(({ end }) => end !== null);
    assert.deepEqual(ended(), []);
    assert.equal(streams.length, 8 * STREAMS);

    const fingerprint = await serverCertificate();
    for (const url of [server.url, address]) {
      await eventually(async () => assert.equal(await presented(url, authority.ca), fingerprint), BOUNDS);
    }
    await issuer.rotate();
    await write("keys.json", issuer.keySet());
    await write("access.json", accessFile([FIRST, SECOND]));
    const isAdmitted = async (credential: Credential) => {
      using client = clientOf(credential);
      await client.listPage();
    };
    await eventually(() => isAdmitted({ token: SECOND }), BOUNDS);
    const fresh = { token: await issuer.sign() };
    await eventually(() => isAdmitted(fresh), BOUNDS);
    await assert.rejects(isAdmitted(credentials.jwt), { code: "UNAUTHENTICATED" }, "its key is gone");
    await isAdmitted(credentials.certificate);
    await write("access.json", Buffer.from("{"));
    assert.deepEqual(ended(), [], "no stream ends by a rotation");

    await admin.revokeToken({ tokenId: created!.tokenId }, { headers: headersOf({ token: ROOT }) });
    await eventually(() => assert.equal(ended().length, 2 * STREAMS), BOUNDS);
    await write("access.json", accessFile([SECOND]));
    await eventually(() => assert.equal(ended().length, 4 * STREAMS), BOUNDS);
    for (const { credential, end } of ended()) {
      assert.ok(credential === credentials.database || credential === credentials.file);
      assert.deepEqual(reasonOf(end), ["revoked", "the token was revoked"]);
    }
    await isAdmitted({ token: SECOND });
  }).timeout(240_000);
});

/** Returns the fingerprint of the certificate that a new connection gets. */
async function presented(url: string, ca: Buffer): Promise<string> {
  const { port } = new URL(url);
  const socket = connectTls({ host: "localhost", port: Number(port), ca, ALPNProtocols: ["h2"] });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

function reasonOf(end: unknown): [token: unknown, message: string] {
  if (end instanceof SpoolRpcError) return [end.metadata["token"], end.message];
  assert.ok(end instanceof ConnectError && end.code === Code.Unauthenticated, String(end));
  const info = end.details.map((detail) => ("debug" in detail ? detail.debug : null)) as {
    metadata?: { token?: string };
  }[];
  return [info.find((detail) => detail?.metadata)?.metadata?.token ?? "revoked", end.rawMessage];
}
