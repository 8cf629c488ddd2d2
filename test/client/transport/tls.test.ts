import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { connect } from "../../../src/client/client.ts";
import type { TlsOptions } from "../../../src/client/client.ts";
import { makeCertificate } from "../../support/certificates.ts";
import type { CertificateFiles } from "../../support/certificates.ts";
import { TASK_ID } from "../scripted-server.ts";

describe("the TLS options", () => {
  let own: CertificateFiles;
  let other: CertificateFiles;
  before(() => {
    own = makeCertificate();
    other = makeCertificate();
  });
  after(() => {
    own?.[Symbol.dispose]();
    other?.[Symbol.dispose]();
  });

  /** @throws what `connect` throws for the options */
  const opening = (tls: TlsOptions, address = "127.0.0.1:1") => connect({ address, tls }).close();

  it("authenticate the client with PEM as a string and as bytes", async () => {
    // The server asks for a certificate and trusts only this one.
    const server = createSecureServer({ cert: own.cert, key: own.key, ca: other.cert, requestCert: true });
    await using _ = { [Symbol.asyncDispose]: async () => void server.close() };
    const names: unknown[] = [];
    server.on("stream", (stream) => {
      names.push((stream.session!.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256);
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "5" }, { endStream: true });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `https://localhost:${(server.address() as AddressInfo).port}`;
    const [ca, cert, key] = [own.cert, other.cert, other.key];
    const texts = { ca: ca.toString(), cert: cert.toString(), key: key.toString() };
    const bytes = { ca: new Uint8Array(ca), cert: new Uint8Array(cert), key: new Uint8Array(key) };
    for (const tls of [texts, bytes]) {
      using client = connect({ address, tls, retryMs: 0 });
      await assert.rejects(client.get({ taskId: TASK_ID }), { code: "NOT_FOUND" });
    }
    assert.equal(names.length, 2);
    assert.ok(names[0] !== undefined && names[0] === names[1]);
    using stranger = connect({ address, tls: { ca }, retryMs: 0 });
    await assert.rejects(stranger.get({ taskId: TASK_ID }), { code: "UNAVAILABLE" });
  });

  it("are rejected by name if they are not PEM, or not what the option holds", () => {
    const { cert, key } = own;
    const wrong = ["garbage", "", own.certFile, new Uint8Array([1, 2, 3]), key, cert.subarray(0, 200), 5 as never];
    for (const pem of wrong) {
      assert.throws(() => opening({ ca: pem }), /^TypeError: tls: ca must hold a certificate in PEM \(/);
      assert.throws(() => opening({ cert: pem, key }), /^TypeError: tls: cert must hold a certificate in PEM \(/);
    }
    const encrypted = generateKeyPairSync("ed25519").privateKey.export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "secret",
    });
    for (const pem of ["garbage", "", own.keyFile, cert, encrypted]) {
      const message = /^TypeError: tls: key must hold an unencrypted private key in PEM \(/;
      assert.throws(() => opening({ cert, key: pem }), message);
    }
  });

  it("need a certificate and the key that belongs to it", () => {
    const { cert, key } = own;
    assert.throws(() => opening({ cert }), /^TypeError: tls: cert and key must be given together/);
    assert.throws(() => opening({ key }), /^TypeError: tls: cert and key must be given together/);
    assert.throws(() => opening({ cert, key: other.key }), /^TypeError: tls: key must be the private key of cert/);
  });

  it("are rejected with an address that rules TLS out", () => {
    assert.throws(() => opening({}, "http://127.0.0.1:1"), /^TypeError: address: must not begin with http:/);
    opening({}, "127.0.0.1:1");
  });
});
