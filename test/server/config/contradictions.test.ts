import assert from "node:assert/strict";
import { isLoopback } from "../../../src/server/config/loopback.ts";
import { ConfigurationError, readConfiguration } from "../../../src/server/config/configuration.ts";

function problemsOf(options: { environment: Record<string, string> }): readonly string[] {
  try {
    readConfiguration(options);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError);
    return error.problems;
  }
}

describe("a server that other machines can reach", () => {
  const SPOOL_HOST = "0.0.0.0";
  const tls = { SPOOL_TLS_CERT: "a.pem", SPOOL_TLS_KEY: "a.pem", SPOOL_TLS_CLIENT_CA: "ca.pem" };

  it("needs a credential of its callers: a token, an access file, or required certificates", () => {
    for (const credential of [
      { SPOOL_TOKEN: "t" },
      { SPOOL_ACCESS_FILE: "access.json" },
      { ...tls, SPOOL_TLS_CLIENT_AUTH: "require" },
    ]) {
      assert.deepEqual(problemsOf({ environment: { SPOOL_HOST, ...credential } }), []);
    }
    assert.match(problemsOf({ environment: { SPOOL_HOST, ...tls } }).join(), /^SPOOL_TOKEN: must be set if/);
  });

  it("needs TLS and authorities for client certificates", () => {
    const problems = (environment: Record<string, string>) => problemsOf({ environment }).join();
    assert.match(problems({ SPOOL_TLS_CLIENT_CA: "ca.pem" }), /^SPOOL_TLS_CLIENT_CA: needs TLS/);
    assert.match(problems({ SPOOL_TLS_CLIENT_AUTH: "require" }), /^SPOOL_TLS_CLIENT_AUTH: require needs/);
    assert.match(problems({ SPOOL_TLS_CLIENT_AUTH: "maybe" }), /must be optional or require/);
  });
});

describe("a standby", () => {
  const SPOOL_STANDBY_URL = "postgres://u:pw@s/d?target_session_attrs=prefer-standby";

  it("needs a database on a server, and a sound URL", () => {
    assert.deepEqual(problemsOf({ environment: { SPOOL_STANDBY_URL, SPOOL_DATABASE_URL: "postgres://p/d" } }), []);
    assert.match(problemsOf({ environment: { SPOOL_STANDBY_URL } }).join(), /^SPOOL_STANDBY_URL: needs SPOOL_DATABASE/);
    const environment = {
      SPOOL_STANDBY_URL: "postgres://s/d?target_session_attrs=primary",
      DATABASE_URL: "postgres://p",
    };
    assert.match(problemsOf({ environment }).join(), /^SPOOL_STANDBY_URL: target_session_attrs: must be one of/);
  });
});

describe("an address without a token", () => {
  const LOOPBACK = ["127.0.0.1", "127.0.0.53", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"];
  for (const host of [...LOOPBACK, "localhost", "LocalHost"]) {
    it(`may be ${host}`, () => {
      assert.ok(isLoopback(host));
      assert.deepEqual(problemsOf({ environment: { SPOOL_HOST: host } }), []);
    });
  }

  const OPEN = [
    "0.0.0.0",
    "::",
    "::ffff:0.0.0.0",
    "::ffff:10.0.0.1",
    "10.0.0.1",
    "128.0.0.1",
    "126.255.255.255",
    "::2",
  ];
  const NAMES = [
    "127.evil.com",
    "127.0.0.1.evil.com",
    "localhost.evil.com",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "fe80::1%lo",
  ];
  for (const host of [...OPEN, ...NAMES]) {
    it(`may not be ${host}`, () => {
      assert.ok(!isLoopback(host));
      const environment = { SPOOL_HOST: host };
      assert.match(problemsOf({ environment }).join(), /^SPOOL_TOKEN: must be set/);
      assert.deepEqual(problemsOf({ environment: { ...environment, SPOOL_TOKEN: "t" } }), []);
    });
  }

  it("is reported together with other problems", () => {
    assert.equal(problemsOf({ environment: { SPOOL_HOST: "0.0.0.0", SPOOL_SLOTS: "x" } }).length, 2);
  });
});
