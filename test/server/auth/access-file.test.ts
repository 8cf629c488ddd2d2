import assert from "node:assert/strict";
import { parseAccessFile } from "../../../src/server/auth/access-file.ts";
import { SCOPES } from "../../../src/domain/principal.ts";
import { digestToken } from "../../../src/server/auth/bearer.ts";

const GRANTS = { namespaces: ["team-*"], scopes: ["tasks:read"] };
const SHA256 = Buffer.from(digestToken("a token"), "base64url").toString("hex");
const JWT = { issuer: "https://issuer.example", audience: "spool", jwks: "keys.json", grants: GRANTS };

const LIMITS = { startsPerSecond: 0.5, streams: 10, pendingTasks: 100, paramsBytes: 1_024 };

const parse = (file: unknown) => parseAccessFile(JSON.stringify(file));
const withLimits = (limits: object) => ({ jwt: [{ ...JWT, limits }] });
const withGrants = (grants: object) => ({ certificates: [{ match: "CN:a", grants: { ...GRANTS, ...grants } }] });

describe("an access file", () => {
  it("has tokens, certificates and issuers, each with defaults", () => {
    const file = {
      tokens: [{ name: "ingest", sha256: SHA256, grants: GRANTS, expiresAt: "2027-01-31T08:00:00Z" }],
      certificates: [
        { match: "URI:spiffe://example.org/*", grants: { ...GRANTS, labels: { team: "a" } }, limits: LIMITS },
      ],
      jwt: [JWT],
    };
    const grants = { ...GRANTS, kinds: ["*"], labels: {}, taskId: null };
    const { tokens, certificates, jwt } = parse(file);
    assert.deepEqual(tokens, [
      {
        name: "ingest",
        digest: digestToken("a token"),
        grants,
        limits: {},
        expiresAt: new Date("2027-01-31T08:00:00Z"),
      },
    ]);
    const { match } = file.certificates[0]!;
    assert.deepEqual(certificates, [
      { match, name: null, grants: { ...grants, labels: { team: "a" } }, limits: LIMITS },
    ]);
    assert.deepEqual(jwt[0]!.grants, grants);
    assert.ok(jwt[0]!.algorithms.includes("ES256") && jwt[0]!.algorithms.every((name) => !/^HS|none/.test(name)));
    assert.deepEqual(parse({}), { tokens: [], certificates: [], jwt: [] });
  });

  for (const [title, file, problem] of [
    ["that is not JSON", undefined, /^must be JSON$/],
    ["that is a list", [], /^the file: must be an object$/],
    ["with an unknown member", { users: [] }, /^users: is unknown; known are tokens, certificates, jwt$/],
    ["with a short digest", { tokens: [{ name: "a", sha256: "ab", grants: GRANTS }] }, /^tokens\.0\.sha256: .*64 hex/],
    ["without rights", { tokens: [{ name: "a", sha256: SHA256 }] }, /^tokens\.0\.grants: is required$/],
    [
      "with a time of another form",
      { tokens: [{ name: "a", sha256: SHA256, grants: GRANTS, expiresAt: "soon" }] },
      /^tokens\.0\.expiresAt: must be a time/,
    ],
    [
      "with one token twice",
      { tokens: [1, 2].map(() => ({ name: "a", sha256: SHA256, grants: GRANTS })) },
      /^tokens: must not have two entries with one sha256$/,
    ],
    [
      "with a name of 129 characters",
      { tokens: [{ name: "a".repeat(129), sha256: SHA256, grants: GRANTS }] },
      /^tokens\.0\.name: must be 1 to 128/,
    ],
    [
      "with a match without a type",
      { certificates: [{ match: "ingest", grants: GRANTS }] },
      /^certificates\.0\.match: must be URI:/,
    ],
    [
      "with a symmetric algorithm",
      { jwt: [{ ...JWT, algorithms: ["HS256"] }] },
      /^jwt\.0\.algorithms\.0: must be one of RS256/,
    ],
    [
      "with the algorithm none",
      { jwt: [{ ...JWT, algorithms: ["none"] }] },
      /^jwt\.0\.algorithms\.0: must be one of RS256/,
    ],
    ["without an audience", { jwt: [{ ...JWT, audience: undefined }] }, /^jwt\.0\.audience: is required$/],
    [
      "with a limit of 0",
      withLimits({ streams: 0 }),
      /^jwt\.0\.limits\.streams: must be a whole number of 1 to 1,000,000$/,
    ],
    [
      "with half a task",
      withLimits({ pendingTasks: 1.5 }),
      /^jwt\.0\.limits\.pendingTasks: must be a whole number of 1/,
    ],
    [
      "with a limit as a text",
      withLimits({ startsPerSecond: "9" }),
      /^jwt\.0\.limits\.startsPerSecond: must be a number/,
    ],
    [
      "with a limit of namespaces",
      withLimits({ runningTasks: 1 }),
      /^jwt\.0\.limits\.runningTasks: is unknown; known are/,
    ],
    ["with an unknown scope", withGrants({ scopes: ["all"] }), /grants\.scopes\.0: must be one of tasks:read/],
    [
      "without a scope",
      withGrants({ scopes: [] }),
      new RegExp(`grants\\.scopes: must be a list of 1 to ${SCOPES.length}`),
    ],
    ["without a namespace", withGrants({ namespaces: [] }), /grants\.namespaces: must be a list of 1 to 100 entries/],
    ["with a pattern of another form", withGrants({ namespaces: ["a*b"] }), /grants\.namespaces\.0: must be 1 to 63/],
    [
      "with 9 labels",
      withGrants({ labels: Object.fromEntries("123456789".split("").map((key) => [key, ""])) }),
      /labels: must be an object of at most 8 labels/,
    ],
  ] as const) {
    it(`${title} is refused`, () => {
      assert.throws(() => (file === undefined ? parseAccessFile("{") : parse(file)), { message: problem });
    });
  }

  it("never has its values in an error", () => {
    const secret = "s3cret".repeat(20);
    const file = { tokens: [{ name: secret + "!", sha256: secret, grants: secret, [secret]: 1 }] };
    assert.throws(
      () => parse(file),
      ({ message }: Error) => !message.replace(/tokens\.0\.s3cret[^:]*:/, "").includes("s3cret"),
    );
  });
});
