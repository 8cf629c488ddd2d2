import assert from "node:assert/strict";
import fc from "fast-check";
import { PAGE_BYTES_MAX } from "../../../src/domain/limits.ts";
import type { TaskStatus } from "../../../src/domain/task.ts";
import type { StoredPage } from "../../../src/store/tapes/event-queries.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import type { Committed } from "../../../src/engine/read/feed.ts";
import { followTape } from "../../../src/engine/read/follow.ts";
import { StoredPages } from "../../../src/engine/read/stored-pages.ts";
import { outline, steps, SUCCEEDED } from "../../support/new-tasks.ts";

const NEVER = new AbortController().signal;
const FAR_MS = 60_000;
const TASK = "019a0000-0000-7000-8000-000000000000";
const TIME = new Date(0);

function commit(first: number, last = first, status: TaskStatus = "running"): Committed {
  return { taskId: TASK, firstSeq: BigInt(first), events: steps(first, last), time: TIME, status };
}

/** Returns the numbers of the steps that a feed has; null if the store must be read. */
function read(feed: Feed, fromSeq: number, limit = 1_000): number[] | null {
  const page = feed.read({ taskId: TASK, fromSeq: BigInt(fromSeq), limit }, 0n);
  return page && page.events.map(({ seq }) => Number(seq));
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe("the feed", () => {
  it("drops a tape that has lost its last follower", () => {
    const feed = new Feed();
    feed.publish(commit(4, 6));
    const first = feed.subscribe(TASK, NEVER);
    assert.equal(read(feed, 4), null);
    const second = feed.subscribe(TASK, NEVER);
    feed.publish(commit(7, 8));
    first[Symbol.dispose]();
    assert.deepEqual(read(feed, 7), [7, 8]);
    second[Symbol.dispose]();
    assert.deepEqual([read(feed, 7), feed.state(TASK), feed.followed()], [null, undefined, []]);
    using _ = feed.subscribe(TASK, NEVER);
    assert.equal(read(feed, 7), null);
  });

  it("keeps a tape that begins here for the next subscriber, and shows it only to subscribers", () => {
    const feed = new Feed();
    feed.publish(commit(1));
    feed.publish(commit(2, 4));
    feed.publish(commit(5, 5, "succeeded"));
    assert.deepEqual([read(feed, 1), feed.state(TASK), feed.followed()], [null, undefined, []]);
    const first = feed.subscribe(TASK, NEVER);
    assert.deepEqual([read(feed, 1), feed.state(TASK)], [range(1, 5), { status: "succeeded", lastSeq: 5n }]);
    first[Symbol.dispose]();
    using _ = feed.subscribe(TASK, NEVER);
    assert.equal(read(feed, 1), null);
  });

  it("accepts commits of other processes to a tape without a follower", () => {
    const feed = new Feed();
    feed.publish(commit(1, 3));
    feed.observe({ taskId: TASK, status: "running", lastSeq: 4n });
    feed.publish(commit(5));
    using _ = feed.subscribe(TASK, NEVER);
    assert.deepEqual([read(feed, 1), read(feed, 5), read(feed, 6)], [null, [5], []]);
  });

  it("keeps the last 1,024 tapes without a follower, each up to 32 KiB", () => {
    const feed = new Feed();
    const kept = (taskId: string) => {
      using _ = feed.subscribe(taskId, NEVER);
      return feed.read({ taskId, fromSeq: 1n, limit: 1_000 }, 0n)?.events.length ?? null;
    };
    for (const number of range(0, 1_024)) feed.publish({ ...commit(1), taskId: `task ${number}` });
    assert.deepEqual([kept("task 0"), kept("task 1"), kept("task 1024")], [null, 1, 1]);
    const large = (bytes: number) => [{ type: "log" as const, body: "x".repeat(bytes) }];
    feed.publish({ ...commit(1), taskId: "at the bound", events: large(32 * 1024 - 160) });
    feed.publish({ ...commit(1), taskId: "past it", events: large(32 * 1024 - 321) });
    feed.publish({ ...commit(2), taskId: "past it", events: large(2) });
    feed.publish({ ...commit(3), taskId: "past it" });
    assert.deepEqual([kept("at the bound"), kept("past it")], [1, null]);
  });

  it("keeps a tape for a later follower when an earlier subscription is disposed twice", () => {
    const feed = new Feed();
    const gone = feed.subscribe(TASK, NEVER);
    gone[Symbol.dispose]();
    using _ = feed.subscribe(TASK, NEVER);
    feed.publish(commit(1));
    gone[Symbol.dispose]();
    assert.deepEqual(read(feed, 1), [1]);
  });

  it("returns the very same page to followers at one position until events are appended to it", () => {
    const feed = new Feed();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    feed.publish(commit(1, 5));
    const page = feed.read({ taskId: TASK, fromSeq: 2n, limit: 1_000 }, 0n);
    assert.equal(feed.read({ taskId: TASK, fromSeq: 2n, limit: 1_000 }, 0n), page);
    assert.deepEqual([read(feed, 2, 3), read(feed, 3)], [range(2, 4), range(3, 5)]);
    feed.publish(commit(6, 6, "succeeded"));
    assert.deepEqual(
      [read(feed, 2), feed.read({ taskId: TASK, fromSeq: 2n, limit: 1_000 }, 0n)?.status],
      [range(2, 6), "succeeded"],
    );
  });

  it("shares a page with more events behind it with later followers, unless they have seen a later seq", () => {
    const feed = new Feed();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    feed.publish(commit(1, 5));
    const query = { taskId: TASK, fromSeq: 2n, limit: 3 };
    const page = feed.read(query, 0n);
    feed.publish(commit(6, 6, "succeeded"));
    assert.equal(feed.read(query, 5n), page);
    const later = feed.read(query, 6n);
    assert.deepEqual([later?.events, later?.lastSeq, later?.status], [page?.events, 6n, "succeeded"]);
    assert.equal(feed.read(query, 0n), later);
  });

  it("caches no page for the only follower of a tape", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    feed.publish(commit(1, 5));
    const query = { taskId: TASK, fromSeq: 2n, limit: 3 };
    assert.notEqual(feed.read(query, 0n), feed.read(query, 0n));
  });

  it("returns pages from its ring, and none with a gap", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    assert.equal(read(feed, 1), null);
    feed.publish(commit(3, 7));
    assert.deepEqual([read(feed, 1), read(feed, 2)], [null, null]);
    assert.deepEqual([read(feed, 3), read(feed, 6), read(feed, 8), read(feed, 99)], [[3, 4, 5, 6, 7], [6, 7], [], []]);
    const page = feed.read({ taskId: TASK, fromSeq: 4n, limit: 2 }, 0n);
    assert.deepEqual([page?.nextFromSeq, page?.lastSeq, page?.hasMore, page?.status], [6n, 7n, true, "running"]);
    feed.publish(commit(9)); // Another process committed 8: it is read from the store.
    assert.deepEqual([read(feed, 8), read(feed, 9)], [null, [9]]);
  });

  it("accepts commits that are published out of order, and ignores older ones", () => {
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

  it("takes the state of an empty tape, and lists it as followed", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    assert.deepEqual(feed.followed(), [TASK]);
    feed.observe({ taskId: TASK, status: "pending", lastSeq: 0n });
    assert.deepEqual([feed.state(TASK), read(feed, 1)], [{ status: "pending", lastSeq: 0n }, []]);
  });

  it("bounds a ring in events and in bytes, and keeps the last events", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    for (const seq of range(1, 8_192)) feed.publish(commit(seq));
    assert.equal(read(feed, 1)?.length, 1_000);
    feed.publish(commit(8_193));
    assert.deepEqual([read(feed, 8_193 - 4_096), read(feed, 8_193 - 4_095)?.length], [null, 1_000]);
    const body = "x".repeat(256 * 1024 - 160);
    for (const seq of range(8_194, 8_210)) {
      feed.publish({ ...commit(seq), events: [{ type: "log", body }] });
    }
    // It was cut to its last 2 MiB by the thirteenth of these, which took it past 4.
    assert.equal(read(feed, 8_198), null);
    const page = feed.read({ taskId: TASK, fromSeq: 8_199n, limit: 1_000 }, 0n);
    assert.ok(page!.events.reduce((sum, event) => sum + event.body.length, 0) >= PAGE_BYTES_MAX);
    assert.deepEqual([page!.nextFromSeq, page!.lastSeq, page!.hasMore], [8_204n, 8_210n, true]);
  });

  it("wakes only the subscribers of a tape, once for all commits since the last time", async () => {
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

  it("does not lose a commit that is published as the wait times out", async () => {
    const feed = new Feed();
    using one = feed.subscribe(TASK, NEVER);
    const waiting = one.next(0);
    const timer = setTimeout(() => feed.publish(commit(1)), 0); // The timer of next() comes first.
    const woken = [await waiting, await one.next(1_000)];
    clearTimeout(timer);
    assert.ok(woken.includes(true));
  });

  it("throws the signal's reason from a wait, present or later, unless a commit was published", async () => {
    const feed = new Feed();
    const controller = new AbortController();
    using one = feed.subscribe(TASK, controller.signal);
    const rejected = assert.rejects(one.next(FAR_MS), { message: "left" });
    controller.abort(new Error("left"));
    await rejected;
    await assert.rejects(one.next(FAR_MS), { message: "left" });
    feed.publish(commit(1));
    assert.equal(await one.next(FAR_MS), true);
    await assert.rejects(one.next(FAR_MS), { message: "left" });
  });

  it("never makes a follower miss or repeat an event, whatever the order of commits and reads", () =>
    fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ events: fc.integer({ min: 1, max: 1_100 }), isOurs: fc.boolean() }), { maxLength: 12 }),
        // Often at one position, so that they share pages.
        fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 4 }),
        fc.nat({ max: 12 }),
        async (scheduler, commits, cursors, early) => {
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
            // The commit is stored. It is published later, perhaps after a later commit.
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
          const pages = new StoredPages({ feed, readStore });
          const states = {
            async read() {
              const { status, lastSeq } = stored;
              await scheduler.schedule(Promise.resolve());
              return { taskId: TASK, status, lastSeq };
            },
          };
          const follow = async (cursor: number) => {
            const query = { taskId: TASK, fromSeq: BigInt(cursor), heartbeatMs: FAR_MS };
            const seen: bigint[] = [];
            for await (const page of followTape({ feed, stored: pages, states }, query, NEVER)) {
              seen.push(...page.events.map(({ seq }) => seq));
              await scheduler.schedule(Promise.resolve());
            }
            return seen;
          };
          // Some events are committed, and perhaps published, before the first follower.
          const publishing = commits.slice(0, early).map((made) => write(made, "running"));
          await scheduler.waitNext(Math.min(publishing.length, early >> 1));
          const positions = cursors.map((cursor) => Math.min(cursor, Number(stored.lastSeq) + 1)); // Else refused.
          const followers = positions.map(follow);
          const writer = scheduler.scheduleSequence([
            ...commits.slice(early).map((made) => async () => void publishing.push(write(made, "running"))),
            async () => void publishing.push(write({ events: 1, isOurs: true }, "succeeded")),
          ]);
          await scheduler.waitFor(Promise.all([writer.task, ...followers]));
          await scheduler.waitFor(Promise.all(publishing));
          const last = Number(stored.lastSeq);
          for (const [index, cursor] of positions.entries()) {
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
