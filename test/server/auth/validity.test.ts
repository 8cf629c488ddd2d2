import assert from "node:assert/strict";
import { once } from "node:events";
import { Validity } from "../../../src/server/auth/validity.ts";

const YEAR_MS = 366 * 24 * 60 * 60_000;

/** Records why a credential became invalid. */
function listen(validity: Validity) {
  const reasons: unknown[] = [];
  const forget = validity.onInvalid(({ metadata }) => reasons.push(metadata["token"]));
  return { reasons, forget };
}

describe("a credential", () => {
  it("ends open calls when it is revoked, once, and refuses later ones", () => {
    const validity = new Validity();
    validity.check();
    const [open, closed] = [listen(validity), listen(validity)];
    closed.forget();
    validity.end("revoked");
    validity.end("expired");
    assert.deepEqual([open.reasons, closed.reasons, listen(validity).reasons], [["revoked"], [], ["revoked"]]);
    assert.throws(() => validity.check(), { reason: "UNAUTHENTICATED", metadata: { token: "revoked" } });
  });

  it("ends open calls when it expires", async () => {
    const validity = new Validity({ expiresAt: new Date(Date.now() + 30) });
    const controller = new AbortController();
    validity.onInvalid((reason) => controller.abort(reason));
    using _open = keepOpen(); // The timer does not keep the process open.
    await once(controller.signal, "abort");
    assert.equal(controller.signal.reason.metadata.token, "expired");
    assert.throws(() => validity.check(), { metadata: { token: "expired" } });
  });

  it("may expire later than a timer can run", () => {
    const validity = new Validity({ expiresAt: new Date(Date.now() + YEAR_MS) });
    const { reasons, forget } = listen(validity);
    assert.deepEqual([reasons, validity.problem], [[], null]);
    forget();
  });

  it("ends with what it relies on", () => {
    const parent = new Validity();
    const validity = new Validity({ parent });
    const [open, closed] = [listen(validity), listen(validity)];
    closed.forget();
    parent.end("revoked");
    assert.deepEqual([open.reasons, closed.reasons, validity.problem], [["revoked"], [], "revoked"]);
  });

  it("reports when its first call opens and its last one ends", () => {
    const uses: boolean[] = [];
    const validity = new Validity({ onUse: (isUsed) => uses.push(isUsed) });
    const calls = [listen(validity), listen(validity)];
    for (const { forget } of calls) forget();
    listen(validity);
    validity.end("revoked");
    assert.deepEqual(uses, [true, false, true, false]);
  });
});

function keepOpen(): Disposable {
  const timer = setInterval(() => {}, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
