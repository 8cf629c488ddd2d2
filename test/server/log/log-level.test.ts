import assert from "node:assert/strict";
import { request } from "node:http";
import { changeLogLevel, LOG_LEVELS, toggledLevel } from "../../../src/server/log/log-level.ts";
import type { LogLevel } from "../../../src/server/log/log-level.ts";
import { openLog } from "../../../src/server/log/logging.ts";
import { openTestListener, refusalOf } from "../http/open-http-listener.ts";

function open(level: LogLevel = "info") {
  const texts: string[] = [];
  const levels: string[] = [];
  const write = (line: string) => {
    const { msg, level } = JSON.parse(line) as { msg: string; level: string };
    texts.push(msg);
    levels.push(level);
  };
  return { log: openLog({ level, namespace: "default", destination: { write } }), texts, levels };
}

describe("a change of the log level", () => {
  it("applies to existing child loggers and their children in both directions", () => {
    const { log, texts } = open();
    const child = log.child({ rpc: "a" });
    const grandchild = child.child({ part: "b" });
    const write = (when: string) => {
      child.debug(`child ${when}`);
      grandchild.debug(`grandchild ${when}`);
    };
    write("before");
    changeLogLevel(log, "debug", { by: "test" });
    write("at debug");
    changeLogLevel(log, "warn", { by: "test" });
    write("at warn");
    child.info("child at warn");
    const change = "log: level changed";
    assert.deepEqual(texts, [change, "child at debug", "grandchild at debug", change]);
    assert.equal(child.level, "warn");
  });

  it("is logged at any level, and only if the level changes", () => {
    for (const from of LOG_LEVELS) {
      for (const to of LOG_LEVELS) {
        const { log, levels } = open(from);
        changeLogLevel(log, to, { by: "test" });
        assert.deepEqual(levels, from === to ? [] : ["info"], `${from} to ${to}`);
        assert.equal(log.level, to);
      }
    }
  });

  it("toggles by signal between the configured and a more verbose level, and back from any other level", () => {
    const twice = (configured: LogLevel) => {
      const once = toggledLevel(configured, configured);
      return [once, toggledLevel(once, configured)];
    };
    assert.deepEqual(twice("info"), ["debug", "info"]);
    assert.deepEqual(twice("silent"), ["debug", "silent"]);
    assert.deepEqual(twice("debug"), ["trace", "debug"]);
    assert.deepEqual(twice("trace"), ["trace", "trace"]);
    assert.equal(toggledLevel("error", "info"), "info");
  });
});

describe("the log level resource of the HTTP endpoint", () => {
  const put = (url: string, body: string, headers = {}) =>
    fetch(`${url}/log-level`, { method: "PUT", body, headers: { "content-type": "application/json", ...headers } });

  it("returns the level and changes it for the whole server", async () => {
    const { log, texts } = open();
    const child = log.child({ rpc: "a" });
    await using server = await openTestListener({}, { log });
    const told = async (response: Response) => [response.status, await response.json()];
    assert.deepEqual(await told(await fetch(`${server.url}/log-level`)), [200, { level: "info" }]);
    assert.deepEqual(await told(await put(server.url, '{"level": "debug"}')), [200, { level: "debug" }]);
    assert.deepEqual(await told(await fetch(`${server.url}/log-level`)), [200, { level: "debug" }]);
    child.debug("seen");
    assert.deepEqual(texts, ["log: level changed", "seen"]);
    // As curl sends it without being told what it is.
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.deepEqual(await told(await put(server.url, '{"level":"info"}', form)), [200, { level: "info" }]);
  });

  const REFUSED: [body: string, field: string, message: RegExp][] = [
    ['{"level": "loud"}', "level", /must be one of trace, debug, info, warn, error, fatal, silent/],
    ['{"level": 20}', "level", /must be one of trace/],
    ["{}", "level", /must be one of trace/],
    ['{"level": "debug", "for": "1m"}', "for", /unknown field; known field: level/],
    ["[]", "body", /must be a JSON object/],
    ["null", "body", /must be a JSON object/],
    ["debug", "body", /must be a JSON object/],
    ["", "body", /must be a JSON object/],
    [`{"level": "debug"}${" ".repeat(1_007)}`, "body", /must be at most 1024 bytes/],
  ];
  for (const [body, field, message] of REFUSED) {
    it(`is not changed by ${JSON.stringify(body.slice(0, 40))}, of ${body.length} bytes`, async () => {
      const { log } = open();
      await using server = await openTestListener({}, { log });
      const refusal = await refusalOf(await put(server.url, body));
      assert.deepEqual([refusal.status, refusal.reason, refusal.fields], [400, "INVALID_ARGUMENT", [field]]);
      assert.match(refusal.message, message);
      assert.equal(log.level, "info");
    });
  }

  it("accepts a body of 1,024 bytes", async () => {
    await using server = await openTestListener({}, { log: open().log });
    const body = '{"level": "debug"}'.padEnd(1_024);
    assert.equal((await put(server.url, body)).status, 200);
  });

  it("refuses callers without the token, pages of other origins and other methods", async () => {
    const { log } = open();
    await using server = await openTestListener({}, { log, token: "a-token" });
    const authorization = "Bearer a-token";
    for (const method of ["GET", "PUT"]) {
      const body = method === "PUT" ? { body: '{"level": "debug"}' } : {};
      const refusal = await refusalOf(await fetch(`${server.url}/log-level`, { method, ...body }));
      assert.deepEqual([refusal.status, refusal.reason], [401, "UNAUTHENTICATED"]);
    }
    const origin = "https://evil.example";
    const foreign = await refusalOf(await put(server.url, '{"level": "debug"}', { authorization, origin }));
    assert.deepEqual([foreign.status, foreign.reason], [403, "ORIGIN_REFUSED"]);
    const post = await fetch(`${server.url}/log-level`, { method: "POST", headers: { authorization } });
    assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET, PUT"]);
    assert.equal(log.level, "info");
    assert.equal((await put(server.url, '{"level": "debug"}', { authorization })).status, 200);
    assert.equal(log.level, "debug");
  });

  it("survives a caller that disconnects in the middle of a request", async () => {
    const { log } = open();
    await using server = await openTestListener({}, { log });
    const leaving = request(`${server.url}/log-level`, { method: "PUT", headers: { "content-length": 100 } });
    leaving.on("error", () => {});
    leaving.write('{"level": ');
    await new Promise((resolve) => leaving.once("socket", (socket) => socket.once("connect", resolve)));
    leaving.destroy();
    assert.equal((await put(server.url, '{"level": "debug"}')).status, 200);
  });
});
