import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { TapeEvent } from "../../../src/domain/event.ts";
import {
  ANSWER_BYTES_MAX,
  FRAME_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  PAGE_BYTES_MAX,
  RESULT_BYTES_MAX,
} from "../../../src/domain/limits.ts";
import { GetEventsResponseSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { toGetEventsResponse } from "../../../src/rpc/codec/tape-answers.ts";
import { encodeEvents } from "../../../src/codec/event-encoding.ts";
import { cutFrames, cutPage } from "../../../src/rpc/codec/frames.ts";
import { encodeMessage } from "../../../src/rpc/codec/tape-message.ts";
import { aLogEvent, aPage } from "../fake-engine.ts";

function bytesOf(events: readonly TapeEvent[]): number {
  return encodeEvents(events, Infinity).bytes.length;
}

/** Events with about a page of JSON in total, and several times that as protobuf. */
function pageOfNumbers(): TapeEvent[] {
  const body = JSON.stringify({ kind: "numbers", payload: { list: Array.from({ length: 5_000 }, () => 0) } });
  return Array.from({ length: Math.floor(PAGE_BYTES_MAX / body.length) }, (_, index) => {
    return { seq: BigInt(index + 1), time: new Date(), type: "partial", body };
  });
}

describe("a page that is cut to a message", () => {
  it("stays whole at its size limit and loses its last event one byte below", () => {
    const page = aPage([aLogEvent(1), aLogEvent(2), aLogEvent(3)]);
    const bytes = bytesOf(page.events);
    assert.deepEqual({ ...cutPage(page, bytes), encodedEvents: null }, { ...page, encodedEvents: null });
    const cut = cutPage(page, bytes - 1);
    assert.deepEqual([cut.events.length, cut.nextFromSeq, cut.lastSeq, cut.hasMore], [2, 3n, 3n, true]);
  });

  it("keeps one event of any size", () => {
    const page = aPage([aLogEvent(1, "x".repeat(1_000)), aLogEvent(2)]);
    assert.deepEqual(cutPage(page, 10).events, page.events.slice(0, 1));
  });

  it("is unchanged if it has no event", () => {
    const page = aPage([], { nextFromSeq: 9_999n, lastSeq: 5n });
    const frame = { ...page, encodedEvents: Buffer.alloc(0) };
    assert.deepEqual(cutPage(page), frame);
    assert.deepEqual([...cutFrames(page)], [frame]);
  });

  it("keeps every message below 4 MiB, even if 1 MiB of JSON is larger as protobuf", () => {
    const page = aPage(pageOfNumbers());
    assert.ok(bytesOf(page.events) > MESSAGE_BYTES_MAX);
    assert.ok(encodeMessage(GetEventsResponseSchema, toGetEventsResponse(cutPage(page))).length <= MESSAGE_BYTES_MAX);
  });

  it("keeps every frame of a stream at 256 KiB of events", () => {
    const page = aPage(pageOfNumbers());
    const frames = [...cutFrames(page)];
    assert.equal(frames.flatMap(({ events }) => events).length, page.events.length);
    for (const frame of frames) {
      assert.ok(bytesOf(frame.events) <= FRAME_BYTES_MAX);
      assert.deepEqual(frame.encodedEvents.length, bytesOf(frame.events));
    }
  });

  it("fits the largest result, with or without another event", () => {
    const result = { text: "x".repeat(RESULT_BYTES_MAX - 100) };
    const body = JSON.stringify({ status: "succeeded", result });
    const final: TapeEvent = { seq: 2n, time: new Date(), type: "final", body };
    assert.ok(bytesOf([final]) < ANSWER_BYTES_MAX);
    const frames = [...cutFrames(aPage([aLogEvent(1, "x".repeat(600_000)), final], { status: "succeeded" }))];
    assert.deepEqual(
      frames.map(({ events }) => events.length),
      [1, 1],
    );
  });

  it("yields each event once, in order, in frames with the next seq", () => {
    const lengths = fc.array(fc.nat({ max: 200 }), { maxLength: 30 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 1_000 }), fc.nat({ max: 5 }), (sizes, bytesMax, left) => {
        const events = sizes.map((size, index) => aLogEvent(index + 1, "x".repeat(size)));
        const lastSeq = BigInt(events.length + left);
        const page = aPage(events, { lastSeq, hasMore: left > 0 });
        const frames = [...cutFrames(page, bytesMax)];
        assert.deepEqual(
          frames.flatMap((frame) => frame.events),
          events,
        );
        for (const { events: given, nextFromSeq, hasMore } of frames) {
          assert.ok(given.length <= 1 || bytesOf(given) <= bytesMax);
          assert.equal(nextFromSeq, (given.at(-1)?.seq ?? 0n) + 1n);
          assert.equal(hasMore, nextFromSeq <= lastSeq);
        }
      }),
    );
  });
});
