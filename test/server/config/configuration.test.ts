import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationError, readConfiguration, secretsOf } from "../../../src/server/config/configuration.ts";
import { CONSOLE_SETTINGS } from "../../../src/server/config/console-settings.ts";

/** What is wrong with a configuration; empty: nothing. */
function problemsOf(options: Parameters<typeof readConfiguration>[0]): readonly string[] {
  try {
    readConfiguration({ environment: {}, ...options });
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
  return [];
}

describe("a configuration", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "spool-configuration-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  function file(text: string): string {
    const path = join(folder, "config.json");
    writeFileSync(path, text);
    return path;
  }

  it("is complete if nothing is set", () => {
    assert.deepEqual(readConfiguration({ environment: {} }), {
      ...Object.fromEntries(Object.entries(CONSOLE_SETTINGS).map(([name, { fallback }]) => [name, fallback])),
      host: "127.0.0.1",
      port: 50_051,
      httpPort: 8_080,
      httpOrigins: [],
      tlsCert: null,
      tlsClientAuth: "optional",
      tlsClientCa: null,
      accessFile: null,
      tlsKey: null,
      token: null,
      databaseUrl: null,
      standbyUrl: null,
      dataDir: "./.spool",
      namespace: "default",
      notify: true,
      metrics: true,
      slots: 64,
      cancelGraceMs: 5_000,
      leaseMs: 10_000,
      drainMs: 5_000,
      crashesMax: 3,
      retention: 30 * 86_400_000,
      retentionByKind: new Map(),
      retentionExport: null,
      packAfter: 600_000,
      auditRetention: 7_776_000_000,
      writeAheadKib: 64,
      streamResetBurst: 10_000,
      streamsPerConnection: 2_000,
      followsPerConnection: 256,
      waitingReads: 512,
      requestTimeoutMs: 30_000,
      sourcesDir: ".",
      modelBaseUrl: null,
      modelApiKey: null,
      model: null,
      unknownKinds: "wait",
      migrate: true,
      logLevel: "info",
      logFormat: "auto",
    });
  });

  it("reads the retention of kinds from a text and from an object of the file", () => {
    const expected = new Map([
      ["ingest", 7 * 86_400_000],
      ["audit", null],
    ]);
    const flags = { retentionByKind: "ingest=7d, audit=forever", retention: "forever" };
    const fromText = readConfiguration({ flags, environment: {} });
    assert.deepEqual([fromText.retention, fromText.retentionByKind], [null, expected]);
    const config = file('{"retention": "90m", "retentionByKind": {"ingest": "7d", "audit": "forever"}}');
    const fromFile = readConfiguration({ environment: { SPOOL_CONFIG: config } });
    assert.deepEqual([fromFile.retention, fromFile.retentionByKind], [5_400_000, expected]);
  });

  it("refuses the retention of more than 100 kinds", () => {
    const kinds = Array.from({ length: 101 }, (_, index) => `k${index}=1d`).join();
    assert.deepEqual(problemsOf({ environment: { SPOOL_RETENTION_BY_KIND: kinds } }), [
      "SPOOL_RETENTION_BY_KIND: must be at most 100 pairs",
    ]);
  });

  it("uses the precedence flag, environment, file, default", () => {
    const config = file('{"slots": 1, "port": 1, "drainMs": 1}');
    const environment = { SPOOL_CONFIG: config, SPOOL_SLOTS: "2", SPOOL_PORT: "2" };
    const { slots, port, drainMs, leaseMs } = readConfiguration({ flags: { slots: "3" }, environment });
    assert.deepEqual([slots, port, drainMs, leaseMs], [3, 2, 1, 10_000]);
  });

  it("prefers the file of the flag to that of the environment", () => {
    const environment = { SPOOL_CONFIG: join(folder, "missing.json") };
    assert.equal(readConfiguration({ flags: { config: file('{"model": "m"}') }, environment }).model, "m");
  });

  it("prefers SPOOL_DATABASE_URL to DATABASE_URL and treats an empty variable as unset", () => {
    const DATABASE_URL = "postgres://b/b";
    const both = { SPOOL_DATABASE_URL: "postgresql://a/a", DATABASE_URL };
    assert.equal(readConfiguration({ environment: both }).databaseUrl, "postgresql://a/a");
    const one = { SPOOL_DATABASE_URL: "", DATABASE_URL, SPOOL_PORT: "" };
    assert.equal(readConfiguration({ environment: one }).databaseUrl, DATABASE_URL);
  });

  it("accepts true, false, 1 and 0 for a flag", () => {
    for (const [word, migrate] of Object.entries({ true: true, 1: true, false: false, 0: false })) {
      assert.equal(readConfiguration({ environment: { SPOOL_MIGRATE: word } }).migrate, migrate);
    }
    assert.equal(readConfiguration({ environment: {}, flags: { migrate: false } }).migrate, false);
  });

  it("reports all problems together, each with the name by which it was set", () => {
    const environment = { SPOOL_PORT: "x", SPOOL_SLOTS: "0", SPOOL_LOG_LEVEL: "loud", DATABASE_URL: "mysql://" };
    const config = file('{"leaseMs": 1.5, "colour": "red"}');
    const problems = problemsOf({ environment, flags: { config, cancelGraceMs: "-1" } });
    assert.deepEqual(
      problems.map((problem) => problem.slice(0, problem.indexOf(":"))),
      [
        `colour in ${config}`,
        "SPOOL_PORT",
        "DATABASE_URL",
        "SPOOL_SLOTS",
        "--cancel-grace-ms",
        `leaseMs in ${config}`,
        "SPOOL_LOG_LEVEL",
      ],
    );
  });

  it("accepts origins as a list in a file and as a comma-separated text in a variable", () => {
    const list = ["https://a.example", "http://b.example:81"];
    const config = file(JSON.stringify({ httpOrigins: list }));
    assert.deepEqual(readConfiguration({ environment: {}, flags: { config } }).httpOrigins, list);
    const environment = { SPOOL_HTTP_ORIGINS: list.join(" , ") };
    assert.deepEqual(readConfiguration({ environment }).httpOrigins, list);
    assert.match(
      problemsOf({ environment: {}, flags: { config: file('{"httpOrigins": [1]}') } })[0]!,
      /must be origins/,
    );
  });

  it("switches the HTTP listener off by environment and by file", () => {
    assert.equal(readConfiguration({ environment: { SPOOL_HTTP_PORT: "off" } }).httpPort, null);
    const config = file('{"httpPort": "off"}');
    assert.equal(readConfiguration({ environment: {}, flags: { config } }).httpPort, null);
  });

  it("requires certificate and key together", () => {
    for (const variable of ["SPOOL_TLS_CERT", "SPOOL_TLS_KEY"]) {
      assert.match(problemsOf({ environment: { [variable]: "a.pem" } }).join(), /must be set together/);
    }
    const environment = { SPOOL_TLS_CERT: "a.pem", SPOOL_TLS_KEY: "b.pem" };
    assert.equal(readConfiguration({ environment }).tlsKey, "b.pem");
  });

  it("contains no secret in an error", () => {
    const environment = { SPOOL_TOKEN: "s3cret word", SPOOL_MODEL_API_KEY: "s3cret word", DATABASE_URL: "s3cret" };
    const problems = problemsOf({ environment, flags: { config: file('{"token": s3cret}') } });
    assert.equal(problems.length, 4);
    assert.doesNotMatch(problems.join(), /s3cret/);
  });

  for (const text of ["[]", "null", "1", "{", ""]) {
    it(`refuses a file of ${JSON.stringify(text)}`, () => {
      assert.match(problemsOf({ flags: { config: file(text) } }).join(), /config\.json: must be/);
    });
  }

  it("refuses a missing file", () => {
    assert.match(problemsOf({ environment: { SPOOL_CONFIG: join(folder, "missing.json") } }).join(), /no such file/);
  });

  const BOUNDS: [variable: string, within: string[], beyond: string[]][] = [
    ["SPOOL_PORT", ["0", "65535"], ["-1", "65536", "1e3", "0x10", " 1", "1.5"]],
    ["SPOOL_HTTP_PORT", ["0", "65535", "off"], ["-1", "65536", "on"]],
    [
      "SPOOL_HTTP_ORIGINS",
      ["https://app.example", "http://localhost:3000, https://a.example:8443", "http://[::1]:3000"],
      ["*", "null", "app.example", "https://app.example/", "https://app.example:443", "https://APP.example", "ftp://a"],
    ],
    ["SPOOL_SLOTS", ["1", "10000"], ["0", "10001"]],
    ["SPOOL_CANCEL_GRACE_MS", ["0", "3600000"], ["-1", "3600001"]],
    ["SPOOL_LEASE_MS", ["1000", "600000"], ["999", "600001"]],
    ["SPOOL_DRAIN_MS", ["0", "3600000"], ["-1", "3600001"]],
    ["SPOOL_CRASHES_MAX", ["1", "100"], ["0", "101"]],
    [
      "SPOOL_RETENTION",
      ["1s", "36500d", "90m", "1000ms", "forever"],
      ["999ms", "36500.1d", "0", "30", "30 d", "never"],
    ],
    [
      "SPOOL_RETENTION_BY_KIND",
      ["ingest=7d", "a=1s, b.c=36500d,audit=forever", Array.from({ length: 100 }, (_, i) => `k${i}=1d`).join()],
      ["ingest", "=7d", "ingest=7", "a=999ms", "a=36500.1d", "a b=7d", "a=1d,a=2d", "a=1d,", `${"k".repeat(129)}=1d`],
    ],
    ["SPOOL_AUDIT_RETENTION", ["1s", "36500d", "forever"], ["999ms", "36501d", "never"]],
    ["SPOOL_PACK_AFTER", ["0", "1ms", "90m", "365d", "never"], ["365.1d", "10", "forever", "-1s"]],
    ["SPOOL_WRITE_AHEAD_KIB", ["1", "65536"], ["0", "65537"]],
    ["SPOOL_STREAM_RESET_BURST", ["1", "1000000"], ["0", "1000001"]],
    ["SPOOL_STREAMS_PER_CONNECTION", ["1", "100000"], ["0", "100001"]],
    ["SPOOL_FOLLOWS_PER_CONNECTION", ["1", "100000"], ["0", "100001"]],
    ["SPOOL_WAITING_READS", ["1", "10000"], ["0", "10001"]],
    ["SPOOL_REQUEST_TIMEOUT_MS", ["1000", "3600000"], ["999", "3600001"]],
    ["SPOOL_NAMESPACE", ["a", "n".repeat(63)], ["n".repeat(64), "a b"]],
    ["SPOOL_TOKEN", ["t", "t".repeat(4_096)], ["t".repeat(4_097), "a b", "é"]],
    ["SPOOL_HOST", ["localhost", "::1", "127.0.0.1"], ["[::1]", "a b", "http://localhost"]],
    [
      "SPOOL_DATABASE_URL",
      ["postgres://h/d", "postgresql:///d", "postgres://u:p@/d?host=/run/postgresql"],
      ["mysql://h/d", "postgres://", "postgres://u:p#p@h/d"],
    ],
    ["SPOOL_MODEL_BASE_URL", ["https://h/v1"], ["ftp://h", "h"]],
    ["SPOOL_UNKNOWN_KINDS", ["wait", "refuse"], ["accept"]],
    ["SPOOL_MIGRATE", ["true", "0"], ["yes"]],
    ["SPOOL_LOG_LEVEL", ["trace", "silent"], ["INFO"]],
    ["SPOOL_LOG_FORMAT", ["auto", "json", "pretty"], ["text"]],
  ];
  for (const [variable, within, beyond] of BOUNDS) {
    it(`keeps ${variable} within its bounds`, () => {
      for (const value of within) assert.deepEqual(problemsOf({ environment: { [variable]: value } }), [], value);
      for (const value of beyond) {
        const [problem, ...others] = problemsOf({ environment: { [variable]: value } });
        assert.match(problem ?? "", new RegExp(`^${variable}: must be `), value);
        assert.deepEqual(others, []);
      }
    });
  }
});

describe("the secrets of a configuration", () => {
  it("include the password in plain and in URL encoding", () => {
    const environment = { SPOOL_TOKEN: "t", SPOOL_MODEL_API_KEY: "k", DATABASE_URL: "postgres://u:p%40ss@h/d" };
    assert.deepEqual(secretsOf(readConfiguration({ environment })), ["t", "k", "p%40ss", "p@ss"]);
    const standby = { DATABASE_URL: "postgres://h/d", SPOOL_STANDBY_URL: "postgres://u:pw@s/d" };
    assert.deepEqual(secretsOf(readConfiguration({ environment: standby })), ["pw", "pw"]);
    assert.deepEqual(secretsOf(readConfiguration({ environment: { DATABASE_URL: "postgres://h/d" } })), []);
  });

  it("include passwords of URLs without a host, with several hosts and in the query", () => {
    for (const url of [
      "postgres://u:hidden@/d?host=/run/postgresql",
      "postgres:///d?user=u&password=hidden",
      "postgres://u:hidden@one:1,two:2/d",
    ])
      assert.deepEqual(
        new Set(secretsOf(readConfiguration({ environment: { DATABASE_URL: url } }))),
        new Set(["hidden"]),
      );
  });
});
