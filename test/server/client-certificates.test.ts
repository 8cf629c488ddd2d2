import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { connect } from "../../src/client/client.ts";
import { ALL_GRANTS } from "../../src/domain/principal.ts";
import { TaskService } from "../../src/gen/spool/v1/task_service_pb.ts";
import { readClientCertificate } from "../../src/rpc/call/client-certificate.ts";
import { authenticateBy } from "../../src/server/auth/authenticate.ts";
import { anyCertificate, CertificateRules } from "../../src/server/auth/certificate-rules.ts";
import { sharedToken } from "../../src/server/auth/shared-token.ts";
import { openGrpcListener } from "../../src/server/grpc/grpc-listener.ts";
import { aTask, fakeEngine, TASK_ID } from "../rpc/fake-engine.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import type { CertificateAuthority, IssuedCertificate } from "../support/certificate-authority.ts";
import { oneEngine } from "../support/one-engine.ts";
import { openTestListener } from "./http/open-http-listener.ts";

const TOKEN = "a-token";
const READS = { ...ALL_GRANTS, scopes: ["tasks:read" as const] };
const RULE = { match: "URI:spiffe://example.org/ns/team-a/*", name: null, grants: READS, limits: { streams: 2 } };
const ENGINE = {
  getTask: async (taskId: string) => aTask({ taskId }),
  startTask: async () => assert.fail("not allowed"),
};

/** Makes one call that everybody may make, and one that only some may. @returns the caller's name, or the error */
type WhoAmI = (certificate: IssuedCertificate | null, token?: string) => Promise<string>;

async function name(read: () => Promise<unknown>, start: () => Promise<unknown>): Promise<string> {
  try {
    await read();
    return await start().then(
      () => "root",
      ({ message }: Error) => /(\S+) needs the scope tasks:start/.exec(message)?.[1] ?? message,
    );
  } catch (error) {
    return (error as Error).message;
  }
}

describe("client certificates", () => {
  let authority: CertificateAuthority;
  let strangers: CertificateAuthority;
  let server: IssuedCertificate;
  let ingest: IssuedCertificate;
  let worker: IssuedCertificate;
  let unknown: IssuedCertificate;
  let stranger: IssuedCertificate;
  before(() => {
    [authority, strangers] = [makeAuthority(), makeAuthority()];
    server = authority.issue("localhost", "DNS:localhost,IP:127.0.0.1");
    ingest = authority.issue("someone", "URI:spiffe://example.org/ns/team-a/sa/ingest,DNS:ingest");
    worker = authority.issue("worker", "DNS:anything");
    unknown = authority.issue("unknown", "DNS:unknown");
    stranger = strangers.issue("worker", "DNS:ingest");
  });
  after(() => {
    authority?.[Symbol.dispose]();
    strangers?.[Symbol.dispose]();
  });

  function rules() {
    const certificates = new CertificateRules();
    certificates.replace([RULE, { match: "CN:worker", name: "the-worker", grants: READS, limits: {} }]);
    return certificates;
  }

  const options = (isRequired: boolean, certificates = rules() as ReturnType<typeof anyCertificate>) => ({
    certificate: { ...server, clients: { ca: authority.ca, isRequired } },
    authenticator: authenticateBy([sharedToken(TOKEN)], certificates),
  });

  async function openGrpc(isRequired: boolean, certificates?: ReturnType<typeof anyCertificate>) {
    const common = { host: "127.0.0.1", port: 0, log: pino({ level: "silent" }) };
    const engines = oneEngine(fakeEngine(ENGINE as never));
    const endpoint = await openGrpcListener({ ...common, engines, ...options(isRequired, certificates) });
    const whoAmI: WhoAmI = async (certificate, token) => {
      const tls = { ca: authority.ca, ...(certificate && { cert: certificate.cert, key: certificate.key }) };
      using client = connect({ address: `https://localhost:${endpoint.port}`, tls, token, retryMs: 0 });
      return await name(
        () => client.get({ taskId: TASK_ID }),
        () => client.start({ kind: "echo" }),
      );
    };
    return { endpoint, whoAmI, [Symbol.asyncDispose]: () => endpoint.close({ graceMs: 0 }) };
  }

  async function openHttp(version: "1.1" | "2", isRequired: boolean) {
    const listener = await openTestListener(ENGINE as never, options(isRequired));
    const whoAmI: WhoAmI = async (certificate, token) => {
      const nodeOptions = { ca: authority.ca, ...(certificate && { cert: certificate.cert, key: certificate.key }) };
      const baseUrl = listener.url;
      const client = createClient(TaskService, createConnectTransport({ baseUrl, httpVersion: version, nodeOptions }));
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return await name(
        () => client.getTask({ taskId: TASK_ID }, { headers }),
        () => client.startTask({ kind: "echo" }, { headers }),
      );
    };
    return { ...listener, whoAmI };
  }

  for (const [endpoint, open] of [
    ["gRPC", openGrpc],
    ["HTTP/1.1", (isRequired: boolean) => openHttp("1.1", isRequired)],
    ["HTTP/2", (isRequired: boolean) => openHttp("2", isRequired)],
  ] as const) {
    it(`authenticate callers over ${endpoint} by rules, and a token counts before them`, async () => {
      await using listener = await open(false);
      const { whoAmI } = listener;
      assert.equal(await whoAmI(ingest), "spiffe://example.org/ns/team-a/sa/ingest");
      assert.equal(await whoAmI(worker), "the-worker");
      for (const certificate of [unknown, stranger, null]) {
        assert.match(await whoAmI(certificate), /missing bearer token/, "no rule, not verified, and none");
      }
      assert.match(await whoAmI(worker, "another"), /wrong bearer token/);
      assert.match(await whoAmI(worker, TOKEN), /not allowed|internal/i, "the token has all rights");
    });

    it(`are needed for each connection over ${endpoint} if they are required`, async () => {
      await using listener = await open(true);
      assert.equal(await listener.whoAmI(worker), "the-worker");
      for (const certificate of [stranger, null]) {
        assert.doesNotMatch(await listener.whoAmI(certificate, TOKEN), /bearer|needs the scope|not allowed/);
      }
    });
  }

  it("of the authority have all rights if there are no rules", async () => {
    await using listener = await openGrpc(true, anyCertificate());
    assert.match(await listener.whoAmI(unknown), /not allowed|internal/i);
  });

  it("have limits for each name, which an unchanged file keeps", () => {
    const certificates = rules();
    const limitsOf = (service: string) => {
      const alternativeNames = [`URI:spiffe://example.org/ns/team-a/${service}`];
      return certificates.findCertificate({ commonName: "", alternativeNames })!.limits;
    };
    const ingest = limitsOf("ingest");
    assert.deepEqual([ingest, limitsOf("synth")], [{ streams: 2 }, { streams: 2 }]);
    assert.notEqual(limitsOf("synth"), ingest);
    certificates.replace([RULE]);
    assert.equal(limitsOf("ingest"), ingest);
    certificates.replace([{ ...RULE, limits: { streams: 3 } }]);
    assert.deepEqual(limitsOf("ingest"), { streams: 3 });
  });

  it("end open calls of a rule that vanishes, and no others", () => {
    const certificates = rules();
    const find = (commonName: string) => certificates.findCertificate({ commonName, alternativeNames: [] });
    const ends: string[] = [];
    find("worker")!.onInvalid(({ metadata }) => ends.push(metadata["token"]!));
    certificates.replace([{ match: "CN:worker", name: "renamed", grants: ALL_GRANTS, limits: {} }]);
    assert.deepEqual([ends, find("worker")!.principal.name], [[], "renamed"]);
    certificates.replace([]);
    assert.deepEqual([ends, find("worker")], [["revoked"], null]);
  });
});

describe("the names in a client certificate", () => {
  const read = (subjectaltname: string, CN: unknown = "a") =>
    readClientCertificate({ subject: { CN }, subjectaltname } as never);

  it("are its common name and its alternative names with their types", () => {
    assert.deepEqual(read("URI:spiffe://x/y, DNS:a.b, IP Address:127.0.0.1, email:a@b.c"), {
      commonName: "a",
      alternativeNames: ["URI:spiffe://x/y", "DNS:a.b", "IP Address:127.0.0.1", "email:a@b.c"],
    });
  });

  it("cannot be forged by commas and quotes, or by several common names", () => {
    const forged = read(String.raw`DNS:"a, URI:spiffe://x/admin", URI:"b\", URI:c", DNS:d`, ["a", "b"]);
    assert.deepEqual(forged, { commonName: "", alternativeNames: ["DNS:d"] });
  });
});
