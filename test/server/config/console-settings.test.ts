import assert from "node:assert/strict";
import { readConfiguration, secretsOf } from "../../../src/server/config/configuration.ts";
import { consoleSecretOf } from "../../../src/server/config/console-settings.ts";

const SECRET = "s".repeat(32);

describe("SPOOL_CONSOLE_SECRET", () => {
  it("has 32 to 4,096 visible characters", () => {
    for (const secret of [SECRET, "s".repeat(4_096)]) {
      assert.equal(readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: secret } }).consoleSecret, secret);
    }
    for (const secret of ["s".repeat(31), "s".repeat(4_097), `${SECRET} s`, `${SECRET}é`]) {
      const read = () => readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: secret } });
      assert.throws(read, /^ConfigurationError: SPOOL_CONSOLE_SECRET: must be 32 to 4,096 visible ASCII characters$/);
    }
  });

  it("is by default the token, if nobody can guess the token", () => {
    const secretOf = (environment: Record<string, string>) => consoleSecretOf(readConfiguration({ environment }));
    const [token, short] = ["t".repeat(32), "t".repeat(31)];
    assert.equal(secretOf({ SPOOL_TOKEN: token }), token);
    assert.equal(secretOf({ SPOOL_TOKEN: short }), null);
    assert.equal(secretOf({ SPOOL_TOKEN: token, SPOOL_CONSOLE_SECRET: SECRET }), SECRET);
    assert.equal(secretOf({}), null);
  });

  it("is a secret that no log shows", () => {
    assert.deepEqual(secretsOf(readConfiguration({ environment: { SPOOL_CONSOLE_SECRET: SECRET } })), [SECRET]);
  });
});
