import assert from "node:assert/strict";
import { InvalidDatabaseUrl, parseDatabaseUrl } from "../../../src/store/connection/database-address.ts";

const endpointsOf = (url: string) =>
  parseDatabaseUrl(url, { environment: {} }).endpoints.map(({ label, url: own }) => [label, own]);
const modeOf = (query: string, environment = {}) =>
  parseDatabaseUrl(`postgres://h/d${query}`, { environment }).tls.mode;

describe("a database URL", () => {
  it("with one host has one endpoint, without the TLS parameters", () => {
    assert.deepEqual(endpointsOf("postgres://u:p%23w@h:5433/d?sslmode=require&options=-c%20a%3Db"), [
      ["h:5433", "postgres://u:p%23w@h:5433/d?options=-c+a%3Db"],
    ]);
    assert.deepEqual(endpointsOf("postgres://[::1]/d"), [["[::1]", "postgres://[::1]/d"]]);
    assert.deepEqual(endpointsOf("postgres:///d"), [["the database", "postgres:///d"]]);
  });

  it("with several hosts has one endpoint per host, with a port for each or one for all", () => {
    assert.deepEqual(endpointsOf("postgresql://u:p@one:1,two,three:3/d?target_session_attrs=read-write"), [
      ["one:1", "postgresql://u:p@one:1/d"],
      ["two", "postgresql://u:p@two/d"],
      ["three:3", "postgresql://u:p@three:3/d"],
    ]);
    assert.deepEqual(endpointsOf("postgres://u@/d?host=/run/a,/run/b&port=7"), [
      ["/run/a:7", "postgres://u@/d?host=%2Frun%2Fa&port=7"],
      ["/run/b:7", "postgres://u@/d?host=%2Frun%2Fb&port=7"],
    ]);
    assert.deepEqual(
      endpointsOf("postgres:///d?host=a,b&port=1,2").map(([label]) => label),
      ["a:1", "b:2"],
    );
  });

  it("takes its TLS mode from sslmode, ssl or PGSSLMODE", () => {
    assert.deepEqual(
      ["", "?sslmode=prefer", "?ssl=true", "?ssl=0", "?ssl=no-verify", "?sslmode=verify-ca&ssl=0"].map((query) =>
        modeOf(query),
      ),
      ["disable", "prefer", "verify-full", "disable", "no-verify", "verify-ca"],
    );
    assert.equal(modeOf("", { PGSSLMODE: "require" }), "require");
  });

  for (const [url, message] of [
    ["postgres://u:p#w@h/d", /%23 and %2F/],
    ["postgres://u:p/w@h/d", /%23 and %2F/],
    ["postgres://h:99999/d", /must be a URL/],
    ["postgres://a:1,b:x/d", /must be a URL/],
    ["postgres:///d?host=a,b,c&port=1,2", /port: must be one port, or one for each host/],
    ["postgres://h/d?sslmode=always", /sslmode: must be one of disable, allow, prefer, require, /],
    ["postgres://h/d?target_session_attrs=standby", /target_session_attrs: must be one of any, read-write, primary/],
    ["postgres://h/d?load_balance_hosts=random", /load_balance_hosts: must be one of disable/],
    ["postgres://h/d?sslcert=c", /both or neither/],
    ["postgres://h/d?sslnegotiation=direct&sslmode=prefer", /needs sslmode=require/],
  ] as const) {
    it(`is refused: ${url}`, () => {
      assert.throws(
        () => parseDatabaseUrl(url, { environment: {} }),
        (error) => error instanceof InvalidDatabaseUrl && message.test(error.message),
      );
    });
  }

  it("of a standby takes the session attributes of a standby", () => {
    const attributesOf = (value: string) =>
      parseDatabaseUrl(`postgres://h/d?target_session_attrs=${value}`, { role: "standby", environment: {} });
    for (const value of ["any", "read-only", "standby", "prefer-standby"]) assert.ok(attributesOf(value));
    assert.throws(() => attributesOf("primary"), /target_session_attrs: must be one of any, read-only, standby/);
  });
});
