import assert from "node:assert/strict";
import { SpoolRpcError } from "../../../src/codec/rpc-error.ts";
import type { EventPage, FinalEvent, SpoolEvent } from "../../../src/client/types.ts";
import { waitFinal, WaitTimeout } from "../../../src/client/follow/waiter.ts";
import type { GetEvents } from "../../../src/client/follow/waiter.ts";

const TASK = "01930d5a-1111-7000-8000-000000000001";
const time = new Date(0);

describe("waitFinal", () => {
  it("reads pages until final", async () => {
    const tape = tapeOf(2_500);
    const asked: bigint[] = [];
    const endpoint: GetEvents = async (request) => {
      asked.push(request.fromSeq);
      return pageOf(tape, request);
    };
    const final = await waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 });
    assert.equal(final.seq, 2_500n);
    assert.deepEqual(asked, [1n, 1_001n, 2_001n]);
  });

  it("returns final of a failed task too", async () => {
    const failed: SpoolEvent = { ...finalAt(3), status: "failed", error: { reason: "KIND_FAILED", message: "no" } };
    const tape = [...tapeOf(2, "running"), failed];
    const final = await waitFinal(async (request) => pageOf(tape, request), { taskId: TASK, timeoutMs: 5_000 });
    assert.equal(final.status, "failed");
  });

  it("does not rely on a terminal status without final", async () => {
    let asked = 0;
    const endpoint: GetEvents = async (request) => {
      asked++;
      // The status is ahead of the tape three times.
      return { ...pageOf(asked <= 3 ? tapeOf(2, "running") : tapeOf(3), request), status: "succeeded" };
    };
    const final = await waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 });
    assert.equal(final.seq, 3n);
    assert.equal(asked, 4);
  });

  it("times out, without flooding the server, on a terminal status whose final never comes", async () => {
    let asked = 0;
    const endpoint: GetEvents = async (request) => {
      asked++;
      return { ...pageOf(tapeOf(2, "running"), request), status: "succeeded", hasMore: false };
    };
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 300 }), (error: WaitTimeout) => {
      assert.equal(error.name, "WaitTimeout");
      assert.match(
        error.message,
        /no final after 300 ms: the last event is 2 progress \(echo 2\/9\), of 2; .*succeeded/,
      );
      assert.equal(error.lastEvent?.seq, 2n);
      return true;
    });
    assert.ok(asked < 10, `asked ${asked} times`);
  });

  it("does not rely on has_more: false if more events come", async () => {
    const tape = tapeOf(7);
    const endpoint: GetEvents = async (request) => ({ ...pageOf(tape, { ...request, limit: 3 }), hasMore: false });
    assert.equal((await waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 })).seq, 7n);
  });

  it("does not busy-loop on has_more: true without events", async () => {
    let asked = 0;
    const endpoint: GetEvents = async (request) => {
      asked++;
      return { ...pageOf(tapeOf(1, "running"), request), hasMore: true };
    };
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 300 }), WaitTimeout);
    assert.ok(asked < 10, `asked ${asked} times`);
  });

  it("fails at once on an error answer, not with a timeout", async () => {
    const refusal = new SpoolRpcError("NOT_FOUND", "there is no such task", { reason: "TASK_NOT_FOUND" });
    let asked = 0;
    const endpoint: GetEvents = async () => {
      asked++;
      throw refusal;
    };
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 60_000 }), refusal);
    assert.equal(asked, 1);
  });

  it("fails at once on an error after some pages", async () => {
    const refusal = new SpoolRpcError("INTERNAL", "broken");
    const endpoint: GetEvents = async (request) => {
      if (request.fromSeq > 1n) throw refusal;
      return pageOf(tapeOf(5), { ...request, limit: 2 });
    };
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 60_000 }), refusal);
  });

  it("retries while the server is unavailable", async () => {
    let asked = 0;
    const endpoint: GetEvents = async (request) => {
      if (++asked <= 2) throw new SpoolRpcError("UNAVAILABLE", "restarting");
      return pageOf(tapeOf(3), request);
    };
    assert.equal((await waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 })).seq, 3n);
    assert.equal(asked, 3);
  });

  it("does not retry an unavailable server forever", async () => {
    const down = new SpoolRpcError("UNAVAILABLE", "down");
    const endpoint: GetEvents = () => Promise.reject(down);
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: Infinity, retryMs: 300 }), down);
  });

  it("names the retried error when it times out", async () => {
    const down = new SpoolRpcError("UNAVAILABLE", "down for repair");
    const endpoint: GetEvents = () => Promise.reject(down);
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 200 }), (error: WaitTimeout) => {
      assert.match(error.message, /no answer, only down for repair/);
      assert.equal(error.cause, down);
      return true;
    });
  });

  it("times out on an endpoint that never answers and ignores the signal", async () => {
    const endpoint: GetEvents = () => new Promise(() => {});
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 50 }), /no final after 50 ms: no answer/);
  });

  it("throws the caller's reason when the caller aborts", async () => {
    const leaving = new Error("leaving");
    const caller = new AbortController();
    const endpoint: GetEvents = () => {
      caller.abort(leaving);
      return new Promise(() => {});
    };
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000, signal: caller.signal }), leaving);
  });

  for (const [fault, tape] of [
    ["skips an event", [...tapeOf(2, "running"), finalAt(4)]],
    ["repeats an event", [...tapeOf(2, "running"), ...tapeOf(2, "running").slice(1), finalAt(3)]],
    ["continues after final", [...tapeOf(2), { ...tapeOf(3, "running")[2]! }]],
  ] as [string, SpoolEvent[]][]) {
    it(`rejects a tape that ${fault}`, async () => {
      const endpoint: GetEvents = async () => ({ ...pageOf(tape, { fromSeq: 1n, limit: 1_000 }), events: tape });
      await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 }), { code: "DATA_LOSS" });
    });
  }

  it("rejects a tape with events after final", async () => {
    const endpoint: GetEvents = async (request) => ({ ...pageOf(tapeOf(3), request), lastSeq: 4n });
    await assert.rejects(waitFinal(endpoint, { taskId: TASK, timeoutMs: 5_000 }), { code: "DATA_LOSS" });
  });
});

function progressAt(seq: number): SpoolEvent {
  return { seq: BigInt(seq), time, type: "progress", phase: "echo", current: seq, total: 9 };
}

function finalAt(seq: number): FinalEvent {
  return { seq: BigInt(seq), time, type: "final", status: "succeeded", result: {} };
}

/** A tape with a number of events, the last of them `final` unless the task is running. */
function tapeOf(length: number, status: "running" | "succeeded" = "succeeded"): SpoolEvent[] {
  const events = Array.from({ length }, (_, index) => progressAt(index + 1));
  return status === "running" ? events : [...events.slice(0, -1), finalAt(length)];
}

function pageOf(tape: SpoolEvent[], { fromSeq, limit }: { fromSeq: bigint; limit: number }): EventPage {
  const events = tape.filter((event) => event.seq >= fromSeq).slice(0, limit);
  const nextFromSeq = (events.at(-1)?.seq ?? fromSeq - 1n) + 1n;
  const lastSeq = tape.at(-1)?.seq ?? 0n;
  const last = tape.at(-1);
  const status = last?.type === "final" ? last.status : "running";
  return { taskId: TASK, events, nextFromSeq, lastSeq, status, hasMore: lastSeq >= nextFromSeq };
}
