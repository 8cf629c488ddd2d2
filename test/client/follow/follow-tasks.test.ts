import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { connect } from "../../../src/client/client.ts";
import type { FollowTasksOptions, TasksReconnectNotice, TasksToFollow } from "../../../src/client/client.ts";
import { FollowView } from "../../../src/gen/spool/v1/task_service_pb.ts";
import type { FollowTasksResponseSchema } from "../../../src/gen/spool/v1/task_service_pb.ts";
import { failure, final, progress, serveScript, TASK_ID, taskMessage } from "../scripted-server.ts";
import type { Script } from "../scripted-server.ts";

type Frame = MessageInitShape<typeof FollowTasksResponseSchema>;
type Events = ReturnType<typeof progress>[];

const OTHER_ID = "018f3a5c-7b1e-7c3d-9a2b-0123456789ac";

function news(nextCursor: string, events: Events = [], taskId = TASK_ID): Frame {
  return { nextCursor, tasks: events.length === 0 ? [] : [{ taskId, kind: "echo", events }] };
}

/** Follows tasks of a scripted server until a frame has the cursor `end`. */
async function follow(
  followTasks: NonNullable<Script["followTasks"]>,
  {
    tasks,
    onCursor,
    ...options
  }: FollowTasksOptions & { tasks?: TasksToFollow; onCursor?: (cursor: string) => void } = {},
): Promise<string[]> {
  await using server = await serveScript({ followTasks });
  using client = connect({ address: server.address, heartbeatMs: 1_000 });
  const seen: string[] = [];
  for await (const frame of client.followTasks(tasks, options)) {
    seen.push(
      ...frame.tasks.flatMap(({ taskId, events }) =>
        events.map(({ seq }) => `${taskId === TASK_ID ? "a" : "b"}${seq}`),
      ),
    );
    onCursor?.(frame.cursor);
    if (frame.cursor === "end") break;
  }
  return seen;
}

describe("a follower of many tasks", () => {
  it("sends its filter and yields the frames", async () => {
    const asked: unknown[] = [];
    await using server = await serveScript({
      async *followTasks(request, { attempt }) {
        const { kinds, labels, cursor, fromStart, view, interval } = request;
        asked.push({ kinds, labels, cursor, fromStart, view, intervalMs: interval && Number(interval.nanos) / 1e6 });
        const task = { ...taskMessage(), taskId: TASK_ID };
        const state = { taskId: TASK_ID, kind: "echo", task, progress: { phase: "p", current: 1n, total: 2n } };
        yield attempt === 1 ? news("c1", [progress(3)]) : { nextCursor: "c2", tasks: [state] };
      },
    });
    using client = connect({ address: server.address });
    const first = async (tasks?: TasksToFollow) => {
      for await (const frame of client.followTasks(tasks)) return frame;
      return assert.fail("It ended.");
    };
    const { tasks, cursor } = await first();
    assert.deepEqual([tasks[0]!.taskId, tasks[0]!.kind, tasks[0]!.events[0]!.seq, cursor], [TASK_ID, "echo", 3n, "c1"]);
    assert.deepEqual([tasks[0]!.task, tasks[0]!.progress], [null, null]);
    const filter = { kinds: ["echo"], labels: { team: "a" } };
    const states = await first({ ...filter, view: "tasks", intervalMs: 250, cursor: "c0", fromStart: false });
    assert.equal(states.tasks[0]!.task!.taskId, TASK_ID);
    assert.deepEqual(states.tasks[0]!.progress, { phase: "p", current: 1, total: 2 });
    assert.deepEqual(asked, [
      { kinds: [], labels: {}, cursor: "", fromStart: false, view: FollowView.EVENTS, intervalMs: undefined },
      { ...filter, cursor: "c0", fromStart: false, view: FollowView.TASKS, intervalMs: 250 },
    ]);
  });

  it("resumes with the cursor of the last frame, and sends from_start only once", async () => {
    const asked: [string, boolean][] = [];
    const notices: TasksReconnectNotice[] = [];
    const received = Promise.withResolvers<void>();
    const seen = await follow(
      async function* ({ cursor, fromStart }, { attempt }) {
        asked.push([cursor, fromStart]);
        if (attempt === 1) {
          yield news("a", [progress(1)]);
          yield news("b", [progress(7)], OTHER_ID);
          await received.promise;
          throw failure("UNAVAILABLE", "going down", { reason: "DRAINING", retryAfterMs: 1 });
        }
        yield news("b");
        yield news("end", [progress(2), final(3)]);
      },
      {
        tasks: { fromStart: true },
        onReconnect: (notice) => notices.push(notice),
        onCursor: (cursor) => cursor === "b" && received.resolve(),
      },
    );
    assert.deepEqual(seen, ["a1", "b7", "a2", "a3"]);
    assert.deepEqual(asked, [
      ["", true],
      ["b", false],
    ]);
    assert.deepEqual(
      notices.map(({ state, cursor }) => [state, cursor]),
      [
        ["lost", "b"],
        ["resumed", "b"],
      ],
    );
  });

  for (const [name, events] of Object.entries({
    repeats: [progress(2), progress(2)],
    skips: [progress(2), progress(4)],
    "continues after final": [final(2), progress(3)],
  })) {
    it(`rejects a server that ${name}`, async () => {
      const frames = (): AsyncIterable<Frame> =>
        (async function* () {
          yield news("a", [progress(1)]);
          yield news("end", events as Events);
        })();
      await assert.rejects(follow(frames), { code: "DATA_LOSS" });
    });
  }

  it("rejects a stream that ends without an error", async () => {
    await assert.rejects(
      follow(async function* () {
        yield news("a");
      }),
      /ended without an error/,
    );
  });

  it("gives up after retryMs without progress, and at once on a permanent error", async () => {
    await assert.rejects(
      follow(
        async function* () {
          yield news("a");
          throw failure("UNAVAILABLE", "down");
        },
        { retryMs: 300 },
      ),
      { code: "UNAVAILABLE" },
    );
    let tries = 0;
    await assert.rejects(
      // eslint-disable-next-line require-yield
      follow(async function* () {
        tries++;
        throw failure("INVALID_ARGUMENT", "cursor: must be one", { reason: "INVALID_ARGUMENT" });
      }),
      { code: "INVALID_ARGUMENT" },
    );
    assert.equal(tries, 1);
  });
});
