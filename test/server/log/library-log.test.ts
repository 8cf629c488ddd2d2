import assert from "node:assert/strict";
import { once } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { openLog } from "../../../src/server/log/logging.ts";
import { logLibraries } from "../../../src/server/log/library-log.ts";

const TOKEN = "a-token-of-a-caller";

describe("a message of a library", () => {
  let lines: string[];
  let written: string[];
  let undo: () => void;
  const { write } = process.stderr;

  beforeEach(() => {
    lines = [];
    written = [];
    const destination = { write: (line: string) => void lines.push(line) };
    undo = logLibraries(openLog({ level: "info", namespace: "default", destination }));
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
  });

  afterEach(() => {
    process.stderr.write = write;
    undo();
  });

  it("is logged without the values of headers", () => {
    Metadata.fromHttp2Headers({
      authorization: `Bearer\t${TOKEN}`,
      "x-a": 'inject\t{"level":"fatal"}\n{"level":"fatal"}',
    });
    assert.deepEqual(written, []);
    assert.equal(lines.length, 2);
    for (const line of lines) {
      const { level, library, msg } = JSON.parse(line) as Record<string, unknown>;
      assert.deepEqual([level, library], ["warn", "grpc-js"]);
      assert.match(String(msg), /^Failed to add metadata entry (authorization|x-a)$/);
    }
    assert.doesNotMatch(lines.join(), /inject|fatal|a-token/);
  });

  it("is masked if it contains a secret, also after a TAB", async () => {
    const warned = once(process, "warning");
    process.emitWarning(`Bearer\t${TOKEN} and Bearer ${TOKEN}`);
    await warned;
    assert.deepEqual(written, []);
    assert.match(lines.join(), /node: warning/);
    assert.doesNotMatch(lines.join(), /a-token/);
  });
});
