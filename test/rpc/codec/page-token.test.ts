import assert from "node:assert/strict";
import { decodePageToken, encodePageToken } from "../../../src/rpc/codec/page-token.ts";
import type { ListFilter } from "../../../src/rpc/codec/page-token.ts";

const TASK_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ab";
const ALL: ListFilter = { statuses: [], kinds: [], labels: {} };
const SOME: ListFilter = { statuses: ["failed", "running"], kinds: ["a", "b"], labels: { x: "1", y: "2" } };

describe("a page token", () => {
  it("decodes to its task", () => {
    for (const filter of [ALL, SOME]) assert.equal(decodePageToken(encodePageToken(TASK_ID, filter), filter), TASK_ID);
  });

  it("is safe in a URL and a header", () => {
    assert.match(encodePageToken(TASK_ID, SOME), /^[A-Za-z0-9_-]{44}$/);
  });

  it("is valid with the same filters in any order", () => {
    const turned: ListFilter = { statuses: ["running", "failed"], kinds: ["b", "a"], labels: { y: "2", x: "1" } };
    assert.equal(decodePageToken(encodePageToken(TASK_ID, SOME), turned), TASK_ID);
  });

  const OTHERS: [name: string, filter: ListFilter][] = [
    ["status", { ...SOME, statuses: ["failed"] }],
    ["kind", { ...SOME, kinds: ["a", "c"] }],
    ["label", { ...SOME, labels: { x: "1", y: "3" } }],
    [
      "label, named as JavaScript's prototype",
      { ...SOME, labels: JSON.parse('{"__proto__":"1"}') as Record<string, string> },
    ],
    ["prefix of ids", { ...SOME, taskIdPrefix: "018f3a5c" }],
    ["filter at all", ALL],
  ];
  for (const [name, filter] of OTHERS) {
    it(`is rejected with another ${name}`, () => {
      assert.equal(decodePageToken(encodePageToken(TASK_ID, SOME), filter), null);
    });
  }

  const token = encodePageToken(TASK_ID, ALL);
  const MADE_UP = [
    "x",
    "page2",
    token.slice(1),
    `${token}A`,
    `${token} `,
    `${token}=`,
    `B${token.slice(1)}`,
    "é",
    "A".repeat(44),
  ];
  for (const text of MADE_UP) {
    it(`is rejected if it reads ${JSON.stringify(text)}`, () => {
      assert.equal(decodePageToken(text, ALL), null);
    });
  }
});
