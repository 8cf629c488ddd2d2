import assert from "node:assert/strict";
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
