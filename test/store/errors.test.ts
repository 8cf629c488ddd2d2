import assert from "node:assert/strict";
import { StoreUnavailable } from "../../src/domain/errors.ts";
import {
  isContentError,
  isSerializationFailure,
  isStatementTimeout,
  sqlstateOf,
  storeErrorReason,
  translateStoreError,
} from "../../src/store/errors.ts";

const answered = (code: string) => Object.assign(new Error(code), { code });

describe("an error of the database", () => {
  it("counts as an error of the statement's data by its class, and is not translated", () => {
    for (const code of ["21000", "22P02", "22021", "22003", "23505", "23514", "44000", "54000", "54001"]) {
      const error = answered(code);
      assert.equal(translateStoreError(error), error, code);
      assert.deepEqual([isContentError(error), storeErrorReason(error)], [true, "refused"], code);
    }
  });

  it("with code 40001 or 40P01 is a conflict of two transactions", () => {
    for (const code of ["40001", "40P01"]) {
      const error = translateStoreError(answered(code));
      assert.deepEqual([isSerializationFailure(error), isContentError(error)], [true, false], code);
      assert.equal(storeErrorReason(error), "conflict", code);
    }
  });

  it("counts as a bug if the statement's text is wrong, or the driver was misused", () => {
    for (const error of [answered("42601"), answered("42804"), new TypeError("no list"), new RangeError("too far")]) {
      assert.equal(translateStoreError(error), error);
      assert.deepEqual([isContentError(error), storeErrorReason(error)], [false, "refused"]);
    }
  });

  it("counts as trouble of the database in every other case, even with an unknown code", () => {
    const codes = ["08006", "25006", "25P03", "28P01", "3D000", "3F000", "42501", "42P01", "42883", "53100", "53200"];
    codes.push(
      "53300",
      "55000",
      "55P03",
      "57014",
      "57P01",
      "57P03",
      "58030",
      "F0000",
      "0A000",
      "P0001",
      "XX000",
      "ZZ999",
    );
    const ofSockets = ["ECONNREFUSED", "EPIPE", "ENOTFOUND", "EAI_AGAIN"].map(answered);
    for (const error of [...codes.map(answered), ...ofSockets, new Error("Connection terminated unexpectedly")]) {
      const translated = translateStoreError(error);
      assert.ok(translated instanceof StoreUnavailable, error.message);
      const reason = isStatementTimeout(error) ? "refused" : "unavailable";
      assert.deepEqual([translated.cause, storeErrorReason(translated)], [error, reason]);
      assert.equal(isContentError(translated), false);
    }
  });

  it("has a message that says whether the database was reached, and the SQLSTATE in its metadata", () => {
    const told = (error: Error) => {
      const { message, metadata, retryAfterMs } = translateStoreError(error) as StoreUnavailable;
      return [message, metadata, retryAfterMs];
    };
    assert.deepEqual(told(answered("ECONNREFUSED")), ["the database cannot be reached", {}, 1_000]);
    assert.deepEqual(told(answered("28P01")), ["the database cannot be reached", { sqlstate: "28P01" }, 1_000]);
    assert.deepEqual(told(answered("53100")), ["the database is in trouble", { sqlstate: "53100" }, 1_000]);
  });

  it("keeps its SQLSTATE when it is translated", () => {
    assert.equal(sqlstateOf(translateStoreError(answered("57014"))), "57014");
    assert.equal(isStatementTimeout(translateStoreError(answered("57014"))), true);
    assert.deepEqual(
      [sqlstateOf(answered("EPIPE")), sqlstateOf(undefined), sqlstateOf("57014")],
      [undefined, undefined, undefined],
    );
  });
});
