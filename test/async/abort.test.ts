import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { abortable, untilAborted } from "../../src/async/abort.ts";
import { timeLimit, within } from "../../src/async/time-limit.ts";
import { pause } from "../../src/async/pause.ts";

const never = new Promise<never>(() => {});

describe("a promise that races a signal", () => {
  it("settles with its value or its error and leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    for (const race of [abortable, untilAborted]) {
      assert.equal(await race(Promise.resolve(1), signal), 1);
      await assert.rejects(race(Promise.reject(new Error("failed")), signal), { message: "failed" });
    }
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("is abandoned when the signal fires before or during the race", async () => {
    const reason = new Error("the caller has left");
    const controller = new AbortController();
    const races = [abortable(never, controller.signal), untilAborted(never, controller.signal)] as const;
    controller.abort(reason);
    const later = [abortable(never, controller.signal), untilAborted(never, controller.signal)] as const;
    for (const [rejects, resolves] of [races, later]) {
      await assert.rejects(rejects, reason);
      assert.equal(await resolves, undefined);
    }
  });

  it("causes no unhandled rejection if it fails after the signal", async () => {
    const controller = new AbortController();
    const work = Promise.withResolvers<never>();
    const race = untilAborted(work.promise, controller.signal);
    controller.abort();
    work.reject(new Error("late"));
    assert.equal(await race, undefined);
    assert.equal(await untilAborted(Promise.reject(new Error("late")), controller.signal), undefined);
  });
});

describe("a time limit", () => {
  it("fires with its reason, or with the reason of the caller's signal", async () => {
    using limit = timeLimit(1);
    await assert.rejects(abortable(never, limit.signal), limit.reason);
    const reason = new Error("the caller has left");
    using other = timeLimit(Infinity, AbortSignal.abort(reason));
    await assert.rejects(abortable(never, other.signal), reason);
  });

  it("ends the wait for a promise that takes longer", async () => {
    assert.equal(await within(never, 1), undefined);
    assert.equal(await within(never, Infinity, AbortSignal.abort()), undefined);
    assert.equal(await within(Promise.resolve(1), Infinity), 1);
  });
});

describe("a pause", () => {
  it("ends after its time and leaves no listener on the signal", async () => {
    const { signal } = new AbortController();
    await pause(1, signal);
    await pause(1);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("throws the signal's reason if the signal fires before or during the pause", async () => {
    const controller = new AbortController();
    const reason = new Error("the caller has left");
    const paused = pause(Infinity, controller.signal);
    controller.abort(reason);
    await assert.rejects(paused, reason);
    await assert.rejects(pause(Infinity, controller.signal), reason);
  });
});
