import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROMISES } from "./promises.ts";
import { REASON_CODES } from "./refusals.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

describe("the promises of the checker", () => {
  it("are the table of docs/proof.md", () => {
    const rows = [...read("docs/proof.md").matchAll(/^\| `([a-z-]+)` \| (.*) \|$/gm)].map(([, name, text]) => [
      name,
      text,
    ]);
    assert.deepEqual(Object.fromEntries(rows), PROMISES);
  });
});

describe("the reasons of the checker", () => {
  it("are those of errors.proto, with their codes", () => {
    const reasons = read("proto/spool/v1/errors.proto").matchAll(
      /^ {2}\/\/ ([A-Z_]+)[.,](?:[^\n]*\n {2}\/\/)*[^\n]*\n {2}ERROR_REASON_([A-Z_]+) =/gm,
    );
    assert.deepEqual(Object.fromEntries([...reasons].map(([, code, reason]) => [reason, code])), REASON_CODES);
  });
});
