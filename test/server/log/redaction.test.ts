import assert from "node:assert/strict";
import { redaction } from "../../../src/server/log/redaction.ts";

const RESUME_TOKEN = `01934c1e-6f0a-7c3e-9d55-1f1f5b0e7a11.${"s".repeat(43)}`;
const PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEs3cret\ns3cret==\n-----END RSA PRIVATE KEY-----";

describe("redaction of a text", () => {
  const { text } = redaction([]);

  const SECRETS: [text: string, masked: string][] = [
    ["connect postgres://spool:s3cret@db:5432/x failed", "connect postgres://[redacted]@db:5432/x failed"],
    ["postgres://spool:s3/cr@et@db/x", "postgres://[redacted]@db/x"],
    ["postgres://:s3cret@db/x", "postgres://[redacted]@db/x"],
    ["git clone https://s3cret@host/x", "git clone https://[redacted]@host/x"],
    ["authorization: Bearer s3cret", "authorization: [redacted]"],
    ['{"authorization":"Basic s3cret"}', '{"authorization":"[redacted]"}'],
    ["proxy-authorization: Digest s3cret, s3cret", "proxy-authorization: [redacted]"],
    ['{"authorization":["Token s3cret"]}', '{"authorization":["[redacted]"]}'],
    ["x-api-key: s3cret", "x-api-key: [redacted]"],
    ['a body: "{\\"cookie\\":\\"id=s3cret\\"}"', 'a body: "{\\"cookie\\":\\"[redacted]\\"}"'],
    ["set-cookie: id=s3cret; path=/", "set-cookie: [redacted]"],
    ["sent Bearer s3cret, refused", "sent Bearer [redacted], refused"],
    ["sent bearer s3cret-s3cret", "sent bearer [redacted]"],
    ["host=db password=s3cret dbname=x", "host=db password=[redacted] dbname=x"],
    ["/x?access_token=s3cret&y=1", "/x?access_token=[redacted]&y=1"],
    ['{"resumeToken":"s3cret","n":1}', '{"resumeToken":"[redacted]","n":1}'],
    ['a body: "{\\"api_key\\": \\"s3cret\\"}"', 'a body: "{\\"api_key\\": \\"[redacted]\\"}"'],
    [
      `a spool_${"x".repeat(43)} and a spool_task_eyJ${"h".repeat(90)}.eyJ${"c".repeat(90)}.${"y".repeat(43)}!`,
      "a spool_[redacted] and a spool_[redacted]!",
    ],
    ["Incorrect API key provided: sk-proj-s3crets3crets3cret.", "Incorrect API key provided: sk-[redacted]."],
    [`made spool_${"s".repeat(43)}.`, "made spool_[redacted]."],
    ["sent eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl here", "sent eyJ[redacted] here"],
    [`resumed with ${RESUME_TOKEN}`, "resumed with 01934c1e-6f0a-7c3e-9d55-1f1f5b0e7a11.[redacted]"],
    [`no key: ${PEM} is none`, "no key: [redacted] is none"],
    [`no key: ${PEM.slice(0, 50)}`, "no key: [redacted]"],
  ];
  for (const [given, masked] of SECRETS) {
    it(`masks what is secret in ${JSON.stringify(given)}`, () => assert.equal(text(given), masked));
  }

  const HARMLESS = [
    "01934c1e-6f0a-7c3e-9d55-1f1f5b0e7a11",
    "http://127.0.0.1:8080/v1/events",
    "    at file:///srv/spool/node_modules/@grpc/grpc-js/build/src/call.js:12:3",
    "    at run (/srv/node_modules/@bufbuild/x.js:1:2) https://docs.example/a",
    "page_token: must be one that was given",
    "a bearer of news, the basic idea",
    "mail ops@example.com",
  ];
  for (const given of HARMLESS) {
    it(`leaves ${JSON.stringify(given)} as it is`, () => assert.equal(text(given), given));
  }

  it("masks known secrets, except those as short as a word", () => {
    const known = redaction(["correct-horse", "spool"]);
    assert.equal(known.text("user correct-horse refused by spool"), "user [redacted] refused by spool");
  });

  it("cuts a text at 16,384 characters and leaves no part of a secret there", () => {
    assert.equal(text("x".repeat(16_384)).length, 16_384);
    assert.equal(text("x".repeat(16_385)), `${"x".repeat(16_384)}…`);
    assert.doesNotMatch(text(`${"x".repeat(16_376)} Bearer s3cret and more`), /s3c/);
  });

  it("handles hostile texts within the time limit of a test", () => {
    for (const part of ["://a:", "://", "Bearer ", "-----BEGIN PRIVATE KEY-----", "token=", 'token\\\\"', "a-"]) {
      const hostile = part.repeat(100_000);
      for (let time = 0; time < 10; time++) assert.ok(text(hostile).length <= 16_385, part);
    }
  });
});

describe("redaction of fields", () => {
  const { fields } = redaction(["correct-horse"]);

  it("masks fields by name at any depth in objects and lists", () => {
    const secrets = { authorization: "a", resumeToken: { a: { b: "c" } }, modelApiKey: 1, params: [1], result: true };
    const masked = Object.fromEntries(Object.keys(secrets).map((name) => [name, "[redacted]"]));
    assert.deepEqual(fields(secrets), masked);
    assert.deepEqual(fields({ a: { b: { c: [{ d: secrets }] } } }), { a: { b: { c: [{ d: masked }] } } });
    assert.deepEqual(fields({ a: { b: { c: [{ d: [secrets] }] } } }), { a: { b: { c: [{ d: ["[deeper]"] }] } } });
  });

  it("does not change its input", () => {
    const given = { headers: { authorization: "a" } };
    fields(given);
    assert.deepEqual(given, { headers: { authorization: "a" } });
  });

  it("keeps masked texts, causes and harmless fields of an error", () => {
    const cause = Object.assign(new Error("password correct-horse refused"), {
      code: "23514",
      constraint: "tasks_status",
      detail: "Failing row contains (s3cret)",
      where: "parameter $1 = s3cret",
      headers: { "x-request": "s3cret" },
    });
    const { err } = fields({ err: new TypeError("postgres://u:s3cret@h failed", { cause }) }) as {
      err: { stack: string; cause: { stack: string } };
    };
    assert.doesNotMatch(JSON.stringify(err), /s3cret|correct-horse/);
    const { stack, ...rest } = err;
    assert.match(stack, /^TypeError: postgres:\/\/\[redacted\]@h failed\n {4}at .*redaction\.test\.ts/);
    assert.deepEqual(rest, {
      type: "TypeError",
      message: "postgres://[redacted]@h failed",
      cause: {
        type: "Error",
        message: "password [redacted] refused",
        stack: rest.cause.stack,
        code: "23514",
        constraint: "tasks_status",
      },
    });
  });

  it("logs only the length of bytes and stops at circular references", () => {
    assert.deepEqual(fields({ key: Buffer.from("s3cret") }), { key: "[6 bytes]" });
    const circle: { self?: object } = {};
    circle.self = circle;
    assert.match(JSON.stringify(fields(circle)), /\[deeper\]/);
    const error = new Error("round");
    error.cause = error;
    assert.match(JSON.stringify(fields({ err: error })), /\[deeper\]/);
  });

  it("logs aggregated errors and marks a field that throws", () => {
    const { err } = fields({ err: new AggregateError([new Error("Bearer s3cret")], "both") }) as {
      err: { errors: { message: string }[] };
    };
    assert.deepEqual(
      err.errors.map(({ message }) => message),
      ["Bearer [redacted]"],
    );
    const trap = Object.defineProperty({}, "a", {
      enumerable: true,
      get: () => {
        throw new Error("no");
      },
    });
    assert.deepEqual(fields({ trap, task_id: "t" }), { trap: "[unreadable]", task_id: "t" });
  });
});
