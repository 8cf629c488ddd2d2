import assert from "node:assert/strict";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import type { JWTPayload } from "jose";
import { pino } from "pino";
import { ALL_GRANTS } from "../../../src/domain/principal.ts";
import type { Grants } from "../../../src/domain/principal.ts";
import { digestToken } from "../../../src/server/auth/bearer.ts";
import { JsonWebTokens } from "../../../src/server/auth/json-web-tokens.ts";
import { eventually } from "../../support/eventually.ts";
import { openTokenIssuer } from "../../support/token-issuer.ts";
import type { TokenIssuer } from "../../support/token-issuer.ts";

const GRANTS: Grants = {
  namespaces: ["team-*"],
  scopes: ["tasks:read", "tasks:start"],
  kinds: ["*"],
  labels: { tenant: "acme" },
  taskId: null,
};
const wrong = { reason: "UNAUTHENTICATED", metadata: { token: "wrong" } };
const now = () => Math.floor(Date.now() / 1_000);

async function open(entry: Pick<TokenIssuer, "issuer" | "audience">, jwks: string, grants = GRANTS) {
  const lines: string[] = [];
  const tokens = new JsonWebTokens(pino({ level: "debug" }, { write: (line) => lines.push(line) }));
  const { issuer, audience } = entry;
  const replace = (changed: object = {}) =>
    tokens.replace([{ issuer, audience, jwks, algorithms: ["ES256"], grants, limits: {}, ...changed }]);
  await replace();
  return {
    find: async (text: string) => tokens.find({ text, digest: digestToken(text) }),
    findNow: (text: string) => tokens.find({ text, digest: digestToken(text) }),
    replace,
    tokens,
    lines,
    [Symbol.asyncDispose]: () => tokens[Symbol.asyncDispose](),
  };
}

describe("JSON Web Tokens", () => {
  let issuer: TokenIssuer;
  beforeEach(async () => {
    issuer = await openTokenIssuer();
  });
  afterEach(() => issuer[Symbol.asyncDispose]());

  it("have the rights of their issuer, narrowed by their claims, and its labels", async () => {
    await using jwts = await open(issuer, issuer.url);
    const plain = await jwts.find(await issuer.sign());
    assert.deepEqual(plain!.principal, { ...GRANTS, name: "alice" });
    const claims = {
      sub: "bob",
      scope: "openid tasks:read admin",
      spool_namespaces: ["team-a", "other"],
      spool_kinds: ["ingest"],
      spool_labels: { tier: "1", tenant: "acme" },
    };
    const narrowed = (await jwts.find(await issuer.sign(claims)))!.principal;
    assert.deepEqual(narrowed, {
      name: "bob",
      namespaces: ["team-a"],
      scopes: ["tasks:read"],
      kinds: ["ingest"],
      labels: { tier: "1", tenant: "acme" },
      taskId: null,
    });
  });

  it("have limits for each subject, which a new token and an unchanged file keep", async () => {
    await using jwts = await open(issuer, issuer.url);
    await jwts.replace({ limits: { streams: 2 } });
    const limitsOf = async (claims: JWTPayload) => (await jwts.find(await issuer.sign(claims)))!.limits;
    const bob = await limitsOf({ sub: "bob" });
    assert.deepEqual(bob, { streams: 2 });
    assert.equal(await limitsOf({ sub: "bob", exp: now() + 999 }), bob);
    assert.notEqual(await limitsOf({ sub: "eve" }), bob);
    await jwts.replace({ limits: { streams: 2 } });
    assert.equal(await limitsOf({ sub: "bob" }), bob);
    await jwts.replace({ limits: { streams: 3 } });
    assert.deepEqual(await limitsOf({ sub: "bob" }), { streams: 3 });
  });

  it("are admitted without waiting once they were verified", async () => {
    await using jwts = await open(issuer, issuer.url);
    const token = await issuer.sign();
    assert.ok(jwts.findNow(token) instanceof Promise);
    const identity = await jwts.find(token);
    assert.equal(jwts.findNow(token), identity);
    assert.equal(issuer.fetches, 1);
  });

  it("are refused if they are of another issuer, audience, key, algorithm, form or time", async () => {
    await using jwts = await open(issuer, issuer.url);
    const { privateKey: strange } = await generateKeyPair("ES256");
    const payload = { iss: issuer.issuer, aud: issuer.audience, sub: "a", exp: now() + 60 };
    const forged = await new SignJWT(payload).setProtectedHeader({ alg: "ES256", kid: "key-1" }).sign(strange);
    const secret = new TextEncoder().encode(JSON.stringify(issuer.keySet().keys[0]));
    const symmetric = await new SignJWT(payload).setProtectedHeader({ alg: "HS256", kid: "key-1" }).sign(secret);
    const refused = {
      issuer: await issuer.sign({ iss: "https://other.example" }),
      audience: await issuer.sign({ aud: "other" }),
      signature: forged,
      symmetric,
      unsigned: new UnsecuredJWT(payload).encode() + "x",
      key: await issuer.sign({}, { header: { kid: "unknown" } }),
      "no expiry": await issuer.sign({ exp: undefined as never }),
      "no subject": await issuer.sign({ sub: undefined as never }),
      "a control character": await issuer.sign({ sub: "a\nb" }),
      "a long subject": await issuer.sign({ sub: "a".repeat(257) }),
      "a later start": await issuer.sign({ nbf: now() + 60 }),
      "namespaces as a text": await issuer.sign({ spool_namespaces: "team-a" }),
      "a label of another value": await issuer.sign({ spool_labels: { tenant: "other" } }),
      "no token": "a.b.c",
    };
    for (const [what, token] of Object.entries(refused)) await assert.rejects(jwts.find(token), wrong, what);
    assert.equal(await jwts.find("no-jwt"), null);
    const signatures = Object.values(refused).map((token) => token.split(".")[2]!);
    const logged = jwts.lines.join("");
    assert.ok(signatures.filter(({ length }) => length > 20).every((signature) => !logged.includes(signature)));
  });

  it("may differ from the server's clock by 5 s, and are refused after their expiry", async () => {
    await using jwts = await open(issuer, issuer.url);
    assert.ok(await jwts.find(await issuer.sign({ nbf: now() + 4 })));
    assert.ok(await jwts.find(await issuer.sign({}, { expiresInS: -3 })));
    const expired = { reason: "UNAUTHENTICATED", metadata: { token: "expired" } };
    await assert.rejects(jwts.find(await issuer.sign({}, { expiresInS: -7 })), expired);
  });

  it("end their open calls when they expire", async () => {
    await using jwts = await open(issuer, issuer.url);
    const identity = (await jwts.find(await issuer.sign({}, { expiresInS: -3 })))!;
    const reason = await new Promise<{ metadata: object }>((resolve) => identity.onInvalid(resolve));
    assert.deepEqual(reason.metadata, { token: "expired" });
  });

  it("of a new key are admitted at once, and open calls outlast the removal of their key", async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "spool-jwks-"));
    const file = join(folder.path, "keys.json");
    await writeFile(file, JSON.stringify(issuer.keySet()));
    await using jwts = await open(issuer, file);
    const old = await issuer.sign();
    const identity = (await jwts.find(old))!;
    const ends: unknown[] = [];
    identity.onInvalid((reason) => ends.push(reason));
    await issuer.rotate({ isKept: true });
    await writeFile(file, JSON.stringify(issuer.keySet()));
    const fresh = await issuer.sign();
    await eventually(async () => assert.ok(await jwts.find(fresh)));
    assert.equal(await jwts.find(old), identity, "the token was verified again, and its caller stays the same");
    await issuer.rotate();
    await writeFile(file, JSON.stringify(issuer.keySet()));
    await eventually(() => assert.rejects(jwts.find(old), wrong));
    await writeFile(file, "no keys");
    assert.ok(await jwts.find(await issuer.sign()));
    assert.deepEqual(ends, []);
  });

  it("are verified by the last keys while the URL of their issuer fails", async () => {
    await using jwts = await open(issuer, issuer.url);
    issuer.isDown = true;
    assert.ok(await jwts.find(await issuer.sign()));
  });

  it("are refused until the keys of their issuer can be fetched", async () => {
    issuer.isDown = true;
    await using jwts = await open(issuer, issuer.url);
    const token = await issuer.sign();
    await assert.rejects(jwts.find(token), wrong);
    issuer.isDown = false;
    assert.ok(await jwts.find(token));
  });

  it("end when their entry vanishes or gives less, and go on when it gives more", async () => {
    await using jwts = await open(issuer, issuer.url);
    const token = await issuer.sign();
    const ended = async (change: () => Promise<void>) => {
      const reasons: string[] = [];
      (await jwts.find(token))!.onInvalid(({ metadata }) => reasons.push(metadata["token"]!));
      await change();
      return reasons;
    };
    assert.deepEqual(await ended(() => jwts.replace({ grants: { ...ALL_GRANTS, labels: GRANTS.labels } })), []);
    assert.deepEqual(await ended(() => jwts.replace({ grants: GRANTS })), ["revoked"]);
    assert.deepEqual(await ended(() => jwts.tokens.replace([])), ["revoked"]);
    await assert.rejects(jwts.find(token), wrong);
  });

  it("stay as they are if a new entry has an unusable key set", async () => {
    await using jwts = await open(issuer, issuer.url);
    await assert.rejects(jwts.replace({ jwks: "/none/keys.json" }), /ENOENT/);
    assert.ok(await jwts.find(await issuer.sign()));
  });
});
