import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Server as NetServer } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { makeCertificate } from "../support/certificates.ts";
import type { CertificateFiles } from "../support/certificates.ts";
import { failure, serveScript, TASK_ID } from "../client/scripted-server.ts";
import { runSpool } from "./spool-process.ts";

/** Starts a task without retries and expects a failure. @returns standard error */
async function startError(address: string, environment: Record<string, string> = {}): Promise<string> {
  const { code, stderr } = await runSpool(["start", "echo", "--retry", "0", "--address", address], { environment });
  assert.equal(code, 1, stderr);
  // The messages of gRPC and OpenSSL do not say what to do.
  assert.doesNotMatch(stderr, /No connection established|Resolution note|SSL routines|Deprecation/);
  return stderr;
}

async function listen(server: NetServer): Promise<AsyncDisposable & { port: number }> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}

describe("an unreachable server", () => {
  let certificate: CertificateFiles;
  before(() => {
    certificate = makeCertificate();
  });
  after(() => certificate?.[Symbol.dispose]());

  const openSecure = async ({ cert, key } = certificate) => {
    const server = new Server();
    const pair = { cert_chain: cert, private_key: key };
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createSsl(null, [pair]), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    return { port, [Symbol.asyncDispose]: async () => server.forceShutdown() };
  };

  it("is reported as an HTTP port if the address is one", async () => {
    await using http = await listen(createServer((_, response) => response.end()));
    assert.match(await startError(`127.0.0.1:${http.port}`), /does not speak gRPC: is this its HTTP port\?/);
  });

  it("is reported as speaking TLS at either port", async () => {
    const { cert, key } = certificate;
    await using https = await listen(createSecureServer({ cert, key, allowHTTP1: true }));
    await using secure = await openSecure();
    for (const { port } of [https, secure]) {
      assert.match(await startError(`127.0.0.1:${port}`), new RegExp(`uses TLS, use https://127.0.0.1:${port}`));
    }
  });

  it("is reported as not speaking TLS", async () => {
    await using server = await serveScript({});
    assert.match(await startError(`https://${server.address}`), /does not speak TLS: remove https:\/\/ from/);
  });

  it("is reported as having a certificate for another name or IP address", async () => {
    using other = makeCertificate("DNS:spool.example,IP:127.0.0.9");
    await using secure = await openSecure(other);
    // The certificate is trusted: only the name is wrong.
    const environment = { NODE_EXTRA_CA_CERTS: other.certFile, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: "" };
    for (const host of ["localhost", "127.0.0.1"]) {
      const stderr = await startError(`https://${host}:${secure.port}`, environment);
      assert.match(stderr, new RegExp(`the certificate at ${host}:${secure.port} has another name: use a name or`));
    }
  });

  it("is reported as having an untrusted certificate", async () => {
    await using secure = await openSecure();
    assert.match(await startError(`https://127.0.0.1:${secure.port}`), /is not trusted .*NODE_EXTRA_CA_CERTS/);
  });

  it("is reported as having an unknown host name or an invalid address", async () => {
    assert.match(await startError("no-such-host.invalid:50051"), /cannot be resolved: check its spelling/);
    assert.match(await startError("127.0.0.1:99999"), /127.0.0.1:99999 is not an address/);
    assert.match(await startError("http://127.0.0.1:8080/console"), /is not an address: use host:port/);
  });

  it("is reported as not running", async () => {
    const server = await serveScript({});
    await server.stop();
    assert.match(await startError(server.address), /^spool: .*\n?.*nothing listens at .* \(ECONNREFUSED\)/m);
    assert.match(await startError(server.address), /is `spool serve` running at/);
  });

  it("is not reported if the IP address is in its certificate: TLS connects without a warning", async () => {
    await using secure = await openSecure();
    // gRPC's variable, which some machines set, takes precedence over Node's.
    const environment = { NODE_EXTRA_CA_CERTS: certificate.certFile, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: "" };
    // UNIMPLEMENTED comes from the server, which has no such service: the connection works.
    assert.match(await startError(`https://127.0.0.1:${secure.port}`, environment), /UNIMPLEMENTED/);
    assert.match(await startError(`https://localhost:${secure.port}`, environment), /UNIMPLEMENTED/);
  });
});

describe("the token", () => {
  for (const [token, hint] of [
    ["missing", /set SPOOL_TOKEN to the server's token\n/],
    ["wrong", /replace the value of SPOOL_TOKEN or --token by this server's token\n/],
  ] as const) {
    it(`is reported as ${token}`, async () => {
      await using server = await serveScript({
        getTask: () => {
          throw failure("UNAUTHENTICATED", "no", { reason: "UNAUTHENTICATED", metadata: { token } });
        },
      });
      const { code, stderr } = await runSpool(["get", TASK_ID, "--address", server.address]);
      assert.equal(code, 1);
      assert.match(stderr, hint);
    });
  }
});
