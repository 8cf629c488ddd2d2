import assert from "node:assert/strict";
import { StoreUnavailable } from "../../src/domain/errors.ts";
import { ConfigurationError } from "../../src/server/config/configuration.ts";
import { asCommandError } from "../../src/server/database-watch.ts";
import { DatabaseMisconfigured } from "../../src/store/connection/session-check.ts";

describe("an error of a command on a database", () => {
  it("has the message of the driver, if there is one", () => {
    const unavailable = new StoreUnavailable(new Error("connect ECONNREFUSED"));
    assert.equal((asCommandError(unavailable) as Error).message, `${unavailable.message}: connect ECONNREFUSED`);
    const silent = new StoreUnavailable(new AggregateError([])); // Several addresses of a host were refused.
    assert.equal(asCommandError(silent), silent);
    const other = new Error("other");
    assert.equal(asCommandError(other), other);
  });

  it("is one of the configuration if only the operator of the database can fix it", () => {
    const error = asCommandError(new StoreUnavailable(new DatabaseMisconfigured("no UTF8")));
    assert.ok(error instanceof ConfigurationError);
    assert.match(error.message, /SPOOL_DATABASE_URL: no UTF8/);
  });
});
