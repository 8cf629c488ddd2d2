import assert from "node:assert/strict";
import { openLog } from "../../src/server/logging.ts";

describe("the log", () => {
  function logged(bindings: object): string {
    let text = "";
    openLog({ level: "info", namespace: "default", destination: { write: (line) => void (text += line) } }).info(
      bindings,
      "a line",
    );
    return text;
  }

  it("holds no secret, wherever in a line it turns up", () => {
    const secrets = { authorization: "s3cret", token: "s3cret", modelApiKey: "s3cret", databaseUrl: "s3cret" };
    for (const bindings of [secrets, { headers: secrets }, { request: { headers: secrets } }]) {
      const line = logged(bindings);
      assert.doesNotMatch(line, /s3cret/);
      assert.match(line, /a line/);
    }
  });

  it("is JSON, one object a line, with an error's causes", () => {
    const line = logged({ err: new Error("outer", { cause: new Error("inner") }) });
    assert.equal(line.split("\n").length, 2);
    assert.match((JSON.parse(line) as { err: { stack: string } }).err.stack, /outer[^]*inner/);
  });

  it("is silent below its level", () => {
    let text = "";
    openLog({ level: "warn", namespace: "default", destination: { write: (line) => void (text += line) } }).info(
      "a line",
    );
    assert.equal(text, "");
  });
});
