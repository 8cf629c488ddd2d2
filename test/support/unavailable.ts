import assert from "node:assert/strict";
import { StoreUnavailable } from "../../src/domain/errors.ts";

/** Returns a check of an error: the database is unavailable for a cause. */
export function isUnavailableFor(Cause: new (...args: never[]) => Error, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StoreUnavailable);
    assert.ok(error.cause instanceof Cause, String(error.cause));
    assert.match(error.cause.message, message);
    return true;
  };
}
