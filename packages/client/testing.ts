// What `@spooltape/client/testing` exports: tests of kinds, without a server or with one.

export * from "../../src/testing/run-kind.ts";
export * from "../../src/testing/test-server.ts";
