import assert from "node:assert/strict";
import fc from "fast-check";
import { PAGE_BYTES_MAX } from "../../src/domain/limits.ts";
import type { TaskStatus } from "../../src/domain/task.ts";
import type { StoredPage } from "../../src/store/event-queries.ts";
import { Feed } from "../../src/engine/feed.ts";
import type { Committed } from "../../src/engine/feed.ts";
import { followTape } from "../../src/engine/follow.ts";
import { outline, steps, SUCCEEDED } from "../support/new-tasks.ts";

const NEVER = new AbortController().signal;
const FAR_MS = 60_000;
const TASK = "019a0000-0000-7000-8000-000000000000";
const TIME = new Date(0);

function commit(first: number, last = first, status: TaskStatus = "running"): Committed {
  return { taskId: TASK, firstSeq: BigInt(first), events: steps(first, last), time: TIME, status };
}

/** The numbers of the steps that a feed gives; null where the store has to be read. */
function read(feed: Feed, fromSeq: number, limit = 1_000): number[] | null {
  const page = feed.read(TASK, BigInt(fromSeq), limit);
  return page && page.events.map(({ seq }) => Number(seq));
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("the feed", () => {
  it("keeps nothing of a tape that nobody follows", () => {
    const feed = new Feed();
    feed.publish(commit(1, 3));
    assert.equal(read(feed, 1), null);
    const first = feed.subscribe(TASK, NEVER);
    const second = feed.subscribe(TASK, NEVER);
    feed.publish(commit(4, 5));
    first[Symbol.dispose]();
    assert.deepEqual(read(feed, 4), [4, 5]);
    second[Symbol.dispose]();
    assert.deepEqual([read(feed, 4), feed.state(TASK), feed.followed()], [null, undefined, []]);
  });

  it("keeps a tape for those who came after somebody left twice", () => {
    const feed = new Feed();
    const gone = feed.subscribe(TASK, NEVER);
    gone[Symbol.dispose]();
    using _ = feed.subscribe(TASK, NEVER);
    feed.publish(commit(1));
    gone[Symbol.dispose]();
    assert.deepEqual(read(feed, 1), [1]);
  });

  it("gives pages from its ring, and none that would have a gap", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    assert.equal(read(feed, 1), null);
    feed.publish(commit(3, 7));
    assert.deepEqual([read(feed, 1), read(feed, 2)], [null, null]);
    assert.deepEqual([read(feed, 3), read(feed, 6), read(feed, 8), read(feed, 99)], [[3, 4, 5, 6, 7], [6, 7], [], []]);
    const page = feed.read(TASK, 4n, 2);
    assert.deepEqual([page?.nextFromSeq, page?.lastSeq, page?.hasMore, page?.status], [6n, 7n, true, "running"]);
    feed.publish(commit(9)); // 8 is somebody else's: it is read from the store.
    assert.deepEqual([read(feed, 8), read(feed, 9)], [null, [9]]);
  });

  it("takes commits that are published out of order, and older ones as nothing new", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    feed.publish(commit(3, 4));
    feed.publish(commit(1, 2));
    assert.deepEqual([read(feed, 1), read(feed, 3)], [null, [3, 4]]);
    feed.publish(commit(3, 4));
    feed.publish(commit(5));
    assert.deepEqual(read(feed, 3), [3, 4, 5]);
    feed.observe({ taskId: TASK, status: "running", lastSeq: 2n });
    assert.deepEqual(feed.state(TASK), { status: "running", lastSeq: 5n });
    feed.publish(commit(6, 6, "succeeded"));
    feed.observe({ taskId: TASK, status: "running", lastSeq: 6n });
    assert.deepEqual(feed.state(TASK), { status: "succeeded", lastSeq: 6n });
    assert.deepEqual(feed.followed(), []);
  });

  it("knows of an empty tape what it is told, and follows it", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    assert.deepEqual(feed.followed(), [TASK]);
    feed.observe({ taskId: TASK, status: "pending", lastSeq: 0n });
    assert.deepEqual([feed.state(TASK), read(feed, 1)], [{ status: "pending", lastSeq: 0n }, []]);
  });

  it("bounds its ring in events and in bytes, and keeps the last", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    for (const seq of range(1, 2_049)) feed.publish(commit(seq));
    assert.deepEqual([read(feed, 2_049 - 1_024), read(feed, 2_049 - 1_023)?.length], [null, 1_000]);
    const body = "x".repeat(256 * 1024);
    for (const seq of range(2_050, 2_058)) {
      feed.publish({ ...commit(seq), events: [{ type: "log", body }] });
    }
    assert.equal(read(feed, 2_053), null);
    const page = feed.read(TASK, 2_054n, 1_000);
    assert.equal(
      page!.events.reduce((sum, event) => sum + event.body.length, 0),
      PAGE_BYTES_MAX,
    );
    assert.deepEqual([page!.nextFromSeq, page!.lastSeq, page!.hasMore], [2_058n, 2_058n, true]);
  });

  it("wakes who waits, once for what was published since the last time, and nobody else", async () => {
    const feed = new Feed();
    using one = feed.subscribe(TASK, NEVER);
    using two = feed.subscribe("another", NEVER);
    const waiting = one.next(FAR_MS);
    feed.publish(commit(1));
    assert.equal(await waiting, true);
    feed.publish(commit(2));
    feed.publish(commit(3));
    assert.equal(await one.next(FAR_MS), true);
    assert.equal(await one.next(1), false);
    feed.observe({ taskId: TASK, status: "running", lastSeq: 3n });
    assert.equal(await one.next(1), false);
    assert.equal(await two.next(1), false);
  });

  it("does not lose what is published as the time runs out", async () => {
    const feed = new Feed();
    using one = feed.subscribe(TASK, NEVER);
    const waiting = one.next(0);
    const timer = setTimeout(() => feed.publish(commit(1)), 0); // The timer of next() comes first.
    const woken = [await waiting, await one.next(1_000)];
    clearTimeout(timer);
    assert.ok(woken.includes(true));
  });

  it("throws the signal's reason to who waits, or will", async () => {
    const feed = new Feed();
    const controller = new AbortController();
    using one = feed.subscribe(TASK, controller.signal);
    const rejected = assert.rejects(one.next(FAR_MS), { message: "left" });
    controller.abort(new Error("left"));
    await rejected;
    feed.publish(commit(1));
    await assert.rejects(one.next(FAR_MS), { message: "left" });
  });

  it("never makes a follower miss or repeat an event, whatever the order of things", () =>
    fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ events: fc.integer({ min: 1, max: 1_100 }), isOurs: fc.boolean() }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 3 }),
        async (scheduler, commits, cursors) => {
          const feed = new Feed();
          const stored: StoredPage = { taskId: TASK, status: "running", lastSeq: 0n, events: [] };
          const write = ({ events, isOurs }: (typeof commits)[number], status: TaskStatus) => {
            const first = Number(stored.lastSeq) + 1;
            const made = commit(first, first + events - 1, status);
            if (status !== "running") made.events = [...made.events.slice(0, -1), SUCCEEDED];
            stored.events.push(
              ...made.events.map((event, index) => ({ ...event, seq: BigInt(first + index), time: TIME })),
            );
            stored.lastSeq += BigInt(events);
            stored.status = status;
            const { lastSeq } = stored;
            // The commit is there; that it is, is heard later, and perhaps after that of a later one.
            return scheduler.schedule(Promise.resolve()).then(() => {
              if (isOurs) feed.publish(made);
              else feed.observe({ taskId: TASK, status, lastSeq });
            });
          };
          const readStore = async ({ fromSeq, limit }: { fromSeq: bigint; limit: number }) => {
            const from = Number(fromSeq) - 1;
            const snapshot = { ...stored, events: stored.events.slice(from, from + limit) };
            await scheduler.schedule(Promise.resolve());
            return snapshot;
          };
          const follow = async (cursor: number) => {
            const query = { taskId: TASK, fromSeq: BigInt(cursor), heartbeatMs: FAR_MS };
            const seen: bigint[] = [];
            for await (const page of followTape({ feed, readStore }, query, NEVER)) {
              seen.push(...page.events.map(({ seq }) => seq));
              await scheduler.schedule(Promise.resolve());
            }
            return seen;
          };
          const followers = cursors.map((cursor) => follow(cursor));
          const publishing: Promise<void>[] = [];
          const writer = scheduler.scheduleSequence([
            ...commits.map((made) => async () => void publishing.push(write(made, "running"))),
            async () => void publishing.push(write({ events: 1, isOurs: true }, "succeeded")),
          ]);
          await scheduler.waitFor(Promise.all([writer.task, ...followers]));
          await scheduler.waitFor(Promise.all(publishing));
          const last = Number(stored.lastSeq);
          for (const [index, cursor] of cursors.entries()) {
            const seen = (await followers[index]!).map(Number);
            assert.deepEqual(seen, cursor > last ? [] : range(cursor, last));
          }
          assert.equal(outline(stored.events).length, last);
          assert.deepEqual(feed.followed(), []);
        },
      ),
      { numRuns: 200 },
    ));
});
