import assert from "node:assert/strict";
import { EndpointError } from "./endpoint.ts";
import type { Endpoint, EndpointEvent, EndpointNews } from "./endpoint.ts";
import { wholeTape } from "./tape-contract.ts";

/** What docs/guarantees.md promises of a stream over many tasks, at every endpoint. */
export function followContract(endpoint: () => Endpoint): void {
  it("a stream over many tasks delivers every event once and in order, also of tasks that start later", async () => {
    const labels = { team: crypto.randomUUID() };
    const before = await startEchoes(endpoint(), 2, labels);
    const news = endpoint().followTasks({ labels, fromStart: true })[Symbol.asyncIterator]();
    const tapes = new Map<string, EndpointEvent[]>();
    await readOn(news, tapes, () => endedOf(tapes) === 2);
    const after = await startEchoes(endpoint(), 2, labels);
    await readOn(news, tapes, () => endedOf(tapes) === 4);
    await news.return?.();
    for (const taskId of [...before, ...after])
      assert.deepEqual(tapes.get(taskId), await wholeTape(endpoint(), taskId));
    assert.equal(tapes.size, 4);
  });

  it("a stream over many tasks resumes with the cursor of any frame and misses and repeats nothing", async () => {
    const labels = { team: crypto.randomUUID() };
    const tapes = new Map<string, EndpointEvent[]>();
    const taskIds = await startEchoes(endpoint(), 5, labels);
    let cursor: string | undefined;
    for (let streams = 1; endedOf(tapes) < 5; streams++) {
      if (streams === 3) taskIds.push(...(await startEchoes(endpoint(), 1, labels)));
      const news = endpoint()
        .followTasks({ labels, cursor, fromStart: cursor === undefined })
        [Symbol.asyncIterator]();
      const framesEach = 2; // The first of a stream has no task.
      for (let frames = 0; frames < framesEach && endedOf(tapes) < taskIds.length; frames++) {
        cursor = await readOn(news, tapes, () => true);
      }
      await news.return?.();
    }
    for (const taskId of taskIds.slice(0, 5)) assert.deepEqual(tapes.get(taskId), await wholeTape(endpoint(), taskId));
  });

  it("a stream over many tasks starts after its first frame unless the start is requested", async () => {
    const labels = { team: crypto.randomUUID() };
    const [before] = await startEchoes(endpoint(), 1, labels);
    await endpoint().result({ taskId: before!, waitMs: 10_000 });
    const news = endpoint().followTasks({ labels })[Symbol.asyncIterator]();
    const tapes = new Map<string, EndpointEvent[]>();
    await readOn(news, tapes, () => true);
    const [after] = await startEchoes(endpoint(), 1, labels);
    await readOn(news, tapes, () => endedOf(tapes) === 1);
    await news.return?.();
    assert.deepEqual([...tapes.keys()], [after]);
  });

  it("a stream over many tasks returns the state of tasks, with the latest progress of running tasks", async () => {
    const labels = { team: crypto.randomUUID() };
    const actor = endpoint().stage.actor();
    const news = endpoint().followTasks({ labels, view: "tasks" })[Symbol.asyncIterator]();
    const seen: string[] = [];
    await readOn(news, new Map(), () => true);
    const { task } = await endpoint().start({ kind: "stage", params: actor.params, labels });
    const running = await actor.enter();
    await running.progress("read", 3);
    const isSeen = (state: string) => {
      return readOn(news, new Map(), ({ tasks }) => {
        for (const { taskId, state } of tasks) {
          assert.equal(taskId, task.taskId);
          seen.push(`${state!.status} ${Number(state!.progress?.["current"] ?? 0)}`);
        }
        return seen.at(-1) === state;
      });
    };
    await isSeen("running 3");
    actor.leave();
    await isSeen("succeeded 0");
    await news.return?.();
  });

  it("a stream over many tasks is refused for a cursor of another filter, and the error names the field", async () => {
    const labels = { team: crypto.randomUUID() };
    const news = endpoint().followTasks({ labels })[Symbol.asyncIterator]();
    const cursor = await readOn(news, new Map(), () => true);
    await news.return?.();
    await assert.rejects(
      async () => readOn(endpoint().followTasks({ cursor })[Symbol.asyncIterator](), new Map(), () => true),
      (error) =>
        error instanceof EndpointError && error.reason === "INVALID_ARGUMENT" && error.fields.includes("cursor"),
    );
  });
}

async function startEchoes(endpoint: Endpoint, count: number, labels: Record<string, string>): Promise<string[]> {
  const started = await Promise.all(
    Array.from({ length: count }, () => endpoint.start({ kind: "echo", params: { count: 3 }, labels })),
  );
  return started.map(({ task }) => task.taskId);
}

function endedOf(tapes: ReadonlyMap<string, readonly EndpointEvent[]>): number {
  return [...tapes.values()].filter((tape) => tape.at(-1)?.type === "final").length;
}

/** Reads frames until one is enough, and puts their events on their tapes. @returns the cursor of the last */
async function readOn(
  news: AsyncIterator<EndpointNews>,
  tapes: Map<string, EndpointEvent[]>,
  isEnough: (frame: EndpointNews) => boolean,
): Promise<string> {
  for (;;) {
    const { done, value } = await news.next();
    if (done) return assert.fail("The stream over many tasks has ended.");
    for (const { taskId, events } of value.tasks) {
      if (events.length > 0) tapes.set(taskId, [...(tapes.get(taskId) ?? []), ...events]);
    }
    if (isEnough(value)) return value.cursor;
  }
}
