import assert from "node:assert/strict";
import { pino } from "pino";
import { NamespaceLogs } from "../../../src/server/log/namespace-logs.ts";

describe("the logs of namespaces", () => {
  let lines: Record<string, unknown>[];
  let log: pino.Logger;
  beforeEach(() => {
    lines = [];
    log = pino({ level: "info" }, { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  });

  it("name the namespace in each line, and follow the level of the server's log", () => {
    using logs = new NamespaceLogs(log);
    const [a, b] = [logs.of("a"), logs.of("b")];
    a.info("one");
    b.debug("too fine");
    log.level = "debug";
    b.debug("two");
    log.child({}).level = "fatal";
    a.debug("three");
    const written = lines.map((line) => [line.task_namespace, line.msg]);
    assert.deepEqual(written, [
      ["a", "one"],
      ["b", "two"],
      ["a", "three"],
    ]);
  });

  it("are one for each namespace, with one listener for all of them until they are disposed", () => {
    const before = log.listenerCount("level-change");
    {
      using logs = new NamespaceLogs(log);
      for (let i = 0; i < 100; i++) logs.of(`n${i}`);
      assert.equal(logs.of("n7"), logs.of("n7"));
      assert.equal(log.listenerCount("level-change"), before + 1);
    }
    assert.equal(log.listenerCount("level-change"), before);
  });
});
