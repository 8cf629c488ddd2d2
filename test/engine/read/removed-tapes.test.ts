import assert from "node:assert/strict";
import { newEvent } from "../../../src/domain/event.ts";
import type { StateChange } from "../../../src/domain/task.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { StoredPages } from "../../../src/engine/read/stored-pages.ts";

const NEVER = new AbortController().signal;
const TASK = "task";
const LAST_SEQ = 3n;
const query = { taskId: TASK, fromSeq: 1n, limit: 10 };

/** The commits of a whole tape. */
function publish(feed: Feed): void {
  const events = [1, 2, 3].map((line) => newEvent("log", { level: "INFO", message: `line ${line}` }));
  feed.publish({ taskId: TASK, firstSeq: 1n, events, time: new Date(0), status: "succeeded" });
}

describe("the feed of a removed tape", () => {
  it("serves nothing from memory, and wakes the followers once", async () => {
    const feed = new Feed();
    using follower = feed.subscribe(TASK, NEVER);
    publish(feed);
    await follower.next(0);
    assert.equal(feed.read(query, 0n)?.events.length, 3);
    feed.observeRemoval(TASK);
    assert.equal(await follower.next(60_000), true);
    assert.deepEqual([feed.read(query, 0n), feed.state(TASK), feed.isRemoved(TASK)], [null, undefined, true]);
    assert.deepEqual([feed.followed(), feed.followedToEnd(), feed.isShared(TASK)], [[], [], false]);
  });

  it("ignores reads and commits that were under way", () => {
    const feed = new Feed();
    using _ = feed.subscribe(TASK, NEVER);
    feed.observeRemoval(TASK);
    publish(feed);
    feed.observe({ taskId: TASK, status: "succeeded", lastSeq: LAST_SEQ });
    assert.deepEqual([feed.read(query, 0n), feed.state(TASK)], [null, undefined]);
  });

  it("forgets a tape that no follower has read", () => {
    const feed = new Feed();
    publish(feed);
    feed.observeRemoval(TASK);
    using _ = feed.subscribe(TASK, NEVER);
    assert.deepEqual([feed.read(query, 0n), feed.state(TASK), feed.isRemoved(TASK)], [null, undefined, false]);
  });

  it("reports a removal by this process to other servers", () => {
    const changes: StateChange[] = [];
    const feed = new Feed((change) => changes.push(change));
    feed.announceRemoval({ taskId: TASK, lastSeq: LAST_SEQ });
    assert.deepEqual(changes, [{ taskId: TASK, status: "removed", lastSeq: LAST_SEQ }]);
  });

  it("shares no page that was read before the removal", async () => {
    const feed = new Feed();
    let reads = 0;
    const readStore = () => {
      reads++;
      const events = [1n, 2n, 3n].map((seq) => ({ seq, time: new Date(0), type: "log" as const, body: "{}" }));
      return Promise.resolve({ taskId: TASK, status: "succeeded" as const, lastSeq: LAST_SEQ, events });
    };
    const pages = new StoredPages({ feed, readStore });
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    await pages.read(query, 0n);
    await pages.read(query, 0n);
    assert.equal(reads, 1);
    feed.observeRemoval(TASK);
    await pages.read(query, 0n);
    assert.equal(reads, 2);
  });
});
