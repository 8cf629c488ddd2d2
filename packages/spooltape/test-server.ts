// What `startTestServer` of `@spooltape/client/testing` loads.

export { openTestServer } from "../../src/server/test-server.ts";
