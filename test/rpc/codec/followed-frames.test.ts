import assert from "node:assert/strict";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { CURSOR_CHARS_MAX, FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, RESULT_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TapeEvent } from "../../../src/domain/event.ts";
import type { Snapshot } from "../../../src/domain/snapshot.ts";
import { cursorAfter } from "../../../src/engine/read/change-scan.ts";
import type { FollowedPage, FollowedTask } from "../../../src/engine/api/task-engine.ts";
import { FollowTasksResponseSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { cutFollowedPage } from "../../../src/rpc/codec/followed-frames.ts";
import { decodeCursor } from "../../../src/rpc/codec/follow-cursor.ts";
import { encodeMessage } from "../../../src/rpc/codec/tape-message.ts";
import { aLogEvent, aTask, TASK_ID } from "../fake-engine.ts";

const SCOPE = { kinds: [], labels: {}, view: "events" } as const;
const SEEN: Snapshot = { xmin: 5n, xmax: 9n, running: [6n], at: new Date(1_000), timeline: 1, isReplicated: false };
const TARGET: Snapshot = { xmin: 9n, xmax: 12n, running: [], at: new Date(2_000), timeline: 1, isReplicated: false };

function aFollowed(events: TapeEvent[], taskId = TASK_ID): FollowedTask {
  return { taskId, kind: "echo", endedXid: 7n, events, state: null };
}

function pageOf(tasks: FollowedTask[]): FollowedPage {
  const cursor = { generation: 0, seen: TARGET, round: null };
  return { generation: 0, seen: SEEN, target: TARGET, tasks, cursor };
}

/** The frames of a page as a client decodes them, and the position of each cursor. */
function framesOf(page: FollowedPage) {
  return [...cutFollowedPage(page, SCOPE)].map((frame) => {
    const bytes = encodeMessage(FollowTasksResponseSchema, frame);
    const read = fromBinary(FollowTasksResponseSchema, bytes);
    assert.deepEqual(toJson(FollowTasksResponseSchema, frame), toJson(FollowTasksResponseSchema, read));
    return { bytes: bytes.length, tasks: read.tasks, cursor: decodeCursor(read.nextCursor, SCOPE) };
  });
}

describe("a page of many tasks", () => {
  it("is one frame with the page's cursor if it fits", () => {
    const other = "018f3a5c-7b1e-7c3d-9a2b-0123456789ac";
    const page = pageOf([aFollowed([aLogEvent(1), aLogEvent(2)]), aFollowed([aLogEvent(5)], other)]);
    const [frame, ...more] = framesOf(page);
    assert.equal(more.length, 0);
    assert.deepEqual(frame!.cursor, page.cursor);
    assert.deepEqual(
      frame!.tasks.map(({ taskId, kind, events }) => [taskId, kind, events.map(({ seq }) => seq)]),
      [
        [TASK_ID, "echo", [1n, 2n]],
        [other, "echo", [5n]],
      ],
    );
  });

  it("is a frame without tasks if the page is empty", () => {
    assert.deepEqual(
      framesOf(pageOf([])).map(({ tasks, cursor }) => [tasks, cursor?.round]),
      [[[], null]],
    );
  });

  it("is split within and between tasks, each frame with the cursor that resumes after it", () => {
    const size = Math.floor(FRAME_BYTES_MAX / 3);
    const ids = [1, 2, 3].map((number) => `018f3a5c-7b1e-7c3d-9a2b-00000000000${number}`);
    const page = pageOf(
      ids.map((id) =>
        aFollowed(
          [1, 2].map((seq) => aLogEvent(seq, "x".repeat(size))),
          id,
        ),
      ),
    );
    const frames = framesOf(page);
    assert.deepEqual(
      frames.map(({ tasks }) =>
        tasks.map(({ taskId, events }) => [ids.indexOf(taskId), events.map(({ seq }) => Number(seq))]),
      ),
      [[[0, [1, 2]]], [[1, [1, 2]]], [[2, [1, 2]]]],
    );
    const uneven = pageOf([aFollowed([1, 2, 3, 4].map((seq) => aLogEvent(seq, "x".repeat(size))))]);
    const cut = framesOf(uneven);
    assert.deepEqual(
      cut.map(({ tasks }) => tasks[0]!.events.length),
      [2, 2],
    );
    assert.deepEqual(cut[0]!.cursor, cursorAfter(uneven, uneven.tasks[0]!, 2n));
    assert.deepEqual(cut[1]!.cursor, uneven.cursor);
    for (const { bytes } of [...frames, ...cut]) assert.ok(bytes <= FRAME_BYTES_MAX + 1_024);
  });

  it("puts the largest event in its own frame, which fits a message", () => {
    const large = {
      ...aLogEvent(2),
      type: "final",
      body: JSON.stringify({ status: "succeeded", result: { text: "x".repeat(RESULT_BYTES_MAX - 100) } }),
    } as const;
    const frames = framesOf(pageOf([aFollowed([aLogEvent(1), large])]));
    assert.deepEqual(
      frames.map(({ tasks }) => tasks[0]!.events.map(({ seq }) => seq)),
      [[1n], [2n]],
    );
    assert.ok(frames[1]!.bytes + CURSOR_CHARS_MAX <= MESSAGE_BYTES_MAX);
  });

  it("has the state and progress of tasks, as many as fit a frame", () => {
    const labels = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`key-${index}`, "€".repeat(255)]));
    const ids = Array.from({ length: 30 }, (_, index) => `018f3a5c-7b1e-7c3d-9a2b-${String(index).padStart(12, "0")}`);
    const tasks = ids.map((taskId): FollowedTask => {
      const state = {
        task: aTask({ taskId, labels, params: null }),
        progress: { phase: "read", current: 1, total: 2 },
      };
      return { taskId, kind: "echo", endedXid: null, events: [], state };
    });
    const frames = framesOf(pageOf(tasks));
    assert.ok(frames.length > 1);
    assert.deepEqual(
      frames.flatMap((frame) => frame.tasks.map(({ task }) => task!.taskId)),
      ids,
    );
    const { progress, events } = frames[0]!.tasks[0]!;
    assert.deepEqual([progress?.phase, progress?.current, progress?.total, events], ["read", 1n, 2n, []]);
    for (const { bytes } of frames) assert.ok(bytes <= FRAME_BYTES_MAX + 1_024);
    assert.deepEqual(frames[0]!.cursor, cursorAfter(pageOf(tasks), tasks[frames[0]!.tasks.length - 1]!));
  });
});
