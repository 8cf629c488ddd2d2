import assert from "node:assert/strict";
import { hostname } from "node:os";
import { openLog } from "../../../src/server/log/logging.ts";
import { linesForPeople } from "../../../src/server/log/log-lines.ts";

function open({ level = "info" as const, secrets = [] as string[] } = {}) {
  const lines: string[] = [];
  const log = openLog({ level, namespace: "shop", secrets, destination: { write: (line) => void lines.push(line) } });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> };
}

describe("the log", () => {
  it("writes one JSON object a line with time, level, process and namespace", () => {
    const { log, lines, last } = open();
    const before = Date.now();
    log.info({ task_id: "t", kind: "echo" }, "a task began\nor not");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /^\{.*\}\n$/);
    const { time, ...rest } = last();
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Date.parse(String(time)) >= before && Date.parse(String(time)) <= Date.now());
    assert.deepEqual(rest, {
      level: "info",
      pid: process.pid,
      hostname: hostname(),
      namespace: "shop",
      task_id: "t",
      kind: "echo",
      msg: "a task began\nor not",
    });
  });

  it("never throws, even for values without a text", () => {
    const { log, last } = open({ secrets: ["correct-horse"] });
    const odd: [given: unknown, msg: string][] = [
      [null, "null"],
      [Object.assign(new Error("x"), { message: 5 }), "5"],
      [{ err: Object.assign(new Error("x"), { message: { token: "s3cret" } }) }, "[object Object]"],
    ];
    for (const [given, msg] of odd) {
      (log.info as (given: unknown) => void).call(log, given);
      assert.equal(last()["msg"], msg);
    }
  });

  it("writes an error and its causes under err, also without a message", () => {
    const { log, last } = open();
    const error = new Error("outer", { cause: new RangeError("inner") });
    for (const write of [() => log.error({ err: error }, "outer"), () => log.error(error)]) {
      write();
      const { err, msg } = last() as { err: Record<string, unknown>; msg: string };
      const { type, message, stack, cause } = err;
      assert.deepEqual([type, message, msg], ["Error", "outer", "outer"]);
      assert.match(String(stack), /^Error: outer\n +at /);
      assert.deepEqual([(cause as typeof err)["type"], (cause as typeof err)["message"]], ["RangeError", "inner"]);
    }
  });

  it("contains no secret anywhere in a line", () => {
    const { log, lines } = open({ secrets: ["s3cret-of-this-server"] });
    const secret = "s3cret-of-this-server";
    const url = "postgres://spool:s3cret@db/x";
    log.info({ authorization: "s3cret", deep: { er: { headers: { cookie: "s3cret" } } } }, "by name");
    log.info(`in a message: ${secret}, ${url}`);
    log.info("in a message that is put together: %s %o", url, { token: "s3cret", url });
    log.info({ note: url, list: [secret] }, "in fields");
    log.info({ err: new Error(url, { cause: new Error("Bearer s3cret") }) }, "in errors");
    log.info({ cause: new Error(url) }, "in errors that are called otherwise");
    log.info(new Error(url));
    log.child({ token: "s3cret", note: url }).info("in what a child is bound to");
    log.child({}).child({ note: secret }).info("and a child's child");
    assert.equal(lines.length, 9);
    for (const line of lines) {
      assert.doesNotMatch(line, /s3cret/);
      assert.match(line, /\[redacted\]/);
      JSON.parse(line);
    }
  });

  it("is silent below its level", () => {
    const { log, lines } = open();
    log.debug("a line");
    assert.deepEqual(lines, []);
  });
});

describe("the log for people", () => {
  function shown(write: (log: ReturnType<typeof open>["log"]) => void, { isColored = false } = {}): string {
    const { log, lines } = open();
    write(log);
    return lines.map(linesForPeople({ isColored })).join("");
  }

  it("writes time, level, message and fields on one line", () => {
    const text = shown((log) =>
      log.info({ task_id: "t-1", kind: "echo", labels: { a: "b c" }, note: "d e" }, "it began"),
    );
    assert.match(text, /^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: /);
    assert.equal(text.slice(15), 'INFO: it began task_id=t-1 kind=echo labels={"a":"b c"} note="d e"\n');
  });

  it("writes an error and its causes below", () => {
    const error = new Error("outer", { cause: new Error("inner", { cause: "a text" }) });
    const text = shown((log) => log.error({ err: error, task_id: "t-1" }, "it failed"));
    assert.match(text, /ERROR: it failed task_id=t-1\n {4}Error: outer\n {8}at .*\n {4}caused by Error: inner\n/s);
    assert.match(text, /\n {4}caused by "a text"\n$/);
  });

  it("is colored if colors are supported", () => {
    const write = (log: ReturnType<typeof open>["log"]) => log.warn({ a: 1 }, "careful");
    assert.ok(shown(write, { isColored: true }).includes("\u001b[33mWARN\u001b[39m"));
    assert.ok(!shown(write).includes("\u001b"));
  });

  it("escapes control characters of terminals", () => {
    const hostile = "a\u001b[2J\u009b\r\n\u202e";
    const text = shown((log) => log.error({ err: new Error(hostile), note: hostile }, hostile));
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});
