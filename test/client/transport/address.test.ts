import assert from "node:assert/strict";
import { readAddress } from "../../../src/client/transport/address.ts";

describe("an address", () => {
  for (const [address, target] of [
    ["127.0.0.1:1234", "127.0.0.1:1234"],
    ["spool.internal", "spool.internal:50051"],
    ["[::1]", "[::1]:50051"],
    ["[::1]:7", "[::1]:7"],
    ["http://localhost:7/", "localhost:7"],
    ["https://spool.example", "spool.example:50051"],
    ["dns:///spool:50051", "dns:///spool:50051"],
    ["unix:/run/spool.sock", "unix:/run/spool.sock"],
  ] as const) {
    it(`${address} resolves to ${target}`, () => assert.equal(readAddress(address).target, target));
  }

  it("uses TLS only with https", () => {
    assert.equal(readAddress("https://a:1").isTls, true);
    assert.equal(readAddress("http://a:1").isTls, false);
    assert.equal(readAddress("a:1").isTls, false);
  });

  it("must not be empty", () => assert.throws(() => readAddress(" "), /address: must be host:port/));
});
