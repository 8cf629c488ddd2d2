import assert from "node:assert/strict";
import { readConfiguration, secretsOf } from "../../../src/server/config/configuration.ts";
import { consoleSecretOf, providerOf } from "../../../src/server/config/console-settings.ts";

const SECRET = "s".repeat(32);

describe("SPOOL_CONSOLE_SECRET", () => {
  it("has 32 to 4,096 visible characters", () => {
    for (const secret of [SECRET, "s".repeat(4_096)]) {
      assert.equal(readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: secret } }).consoleSecret, secret);
    }
    for (const secret of ["s".repeat(31), "s".repeat(4_097), `${SECRET} s`, `${SECRET}é`]) {
      const read = () => readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: secret } });
      assert.throws(read, /^ConfigurationError: SPOOL_CONSOLE_SECRET: must be 32 to 4,096 visible ASCII characters$/);
    }
  });

  it("is by default the token, if nobody can guess the token", () => {
    const secretOf = (environment: Record<string, string>) => consoleSecretOf(readConfiguration({ environment }));
    const [token, short] = ["t".repeat(32), "t".repeat(31)];
    assert.equal(secretOf({ SPOOL_TOKEN: token }), token);
    assert.equal(secretOf({ SPOOL_TOKEN: short }), null);
    assert.equal(secretOf({ SPOOL_TOKEN: token, SPOOL_CONSOLE_SECRET: SECRET }), SECRET);
    assert.equal(secretOf({}), null);
  });

  it("is a secret that no log shows", () => {
    assert.deepEqual(secretsOf(readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: SECRET } })), [SECRET]);
  });
});

describe("the identity provider of the console", () => {
  const PROVIDER = {
    SPOOL_OIDC_ISSUER: "https://login.example",
    SPOOL_OIDC_CLIENT_ID: "spool",
    SPOOL_ACCESS_FILE: "a.json",
  };
  const read = (environment: Record<string, string>) => readConfiguration({ environment });

  it("is none by default, and has the scopes openid, profile and email", () => {
    assert.equal(providerOf(read({})), null);
    const scopes = "openid profile email";
    assert.deepEqual(providerOf(read(PROVIDER)), {
      issuer: "https://login.example",
      clientId: "spool",
      clientSecret: null,
      scopes,
    });
    const secret = { SPOOL_OIDC_CLIENT_SECRET: "hidden" };
    assert.equal(providerOf(read({ ...PROVIDER, ...secret }))!.clientSecret, "hidden");
    assert.deepEqual(secretsOf(read({ ...PROVIDER, ...secret })), ["hidden"]);
  });

  it("uses https, or http on this machine", () => {
    for (const issuer of [
      "https://login.example/realms/a",
      "http://127.0.0.1:9000",
      "http://localhost",
      "http://[::1]:1",
    ]) {
      assert.equal(read({ ...PROVIDER, SPOOL_OIDC_ISSUER: issuer }).oidcIssuer, issuer);
    }
    for (const issuer of ["http://login.example", "login.example", "ftp://127.0.0.1"]) {
      const wrong = /SPOOL_OIDC_ISSUER: must be a URL of https, or of http on this machine/;
      assert.throws(() => read({ ...PROVIDER, SPOOL_OIDC_ISSUER: issuer }), wrong);
    }
  });

  it("needs an issuer and a client, and the scope openid", () => {
    for (const [environment, problem] of [
      [{ SPOOL_OIDC_ISSUER: "https://login.example" }, /SPOOL_OIDC_ISSUER, SPOOL_OIDC_CLIENT_ID: must be set together/],
      [{ SPOOL_OIDC_CLIENT_ID: "spool" }, /SPOOL_OIDC_ISSUER, SPOOL_OIDC_CLIENT_ID: must be set together/],
      [{ ...PROVIDER, SPOOL_ACCESS_FILE: "" }, /SPOOL_OIDC_ISSUER: needs SPOOL_ACCESS_FILE/],
      [{ SPOOL_OIDC_CLIENT_SECRET: "s" }, /SPOOL_OIDC_CLIENT_SECRET: needs SPOOL_OIDC_ISSUER/],
      [{ ...PROVIDER, SPOOL_OIDC_CLIENT_SECRET: "a b" }, /SPOOL_OIDC_CLIENT_SECRET: must be visible ASCII/],
      [{ ...PROVIDER, SPOOL_OIDC_CLIENT_ID: "x".repeat(257) }, /SPOOL_OIDC_CLIENT_ID: must be 1 to 256/],
      [{ ...PROVIDER, SPOOL_OIDC_SCOPES: "profile openids" }, /SPOOL_OIDC_SCOPES: must be scopes .*openid among them/],
    ] as const) {
      assert.throws(() => read(environment), problem);
    }
    assert.equal(read({ ...PROVIDER, SPOOL_OIDC_SCOPES: "groups openid" }).oidcScopes, "groups openid");
  });
});
