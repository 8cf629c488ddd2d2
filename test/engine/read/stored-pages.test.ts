import assert from "node:assert/strict";
import { StoreUnavailable } from "../../../src/domain/errors.ts";
import type { TaskStatus } from "../../../src/domain/task.ts";
import { Feed } from "../../../src/engine/read/feed.ts";
import { StoredPages } from "../../../src/engine/read/stored-pages.ts";
import type { StoredPage } from "../../../src/store/tapes/event-queries.ts";

const NEVER = new AbortController().signal;
const TASK = "task";

function event(seq: number, body = "{}") {
  return { seq: BigInt(seq), time: new Date(0), type: "log" as const, body };
}

/** Returns a page of `length` events from seq 1, of a tape that ends at lastSeq. */
function stored(length: number, lastSeq: number, status: TaskStatus = "running"): StoredPage {
  const events = Array.from({ length }, (_, index) => event(index + 1));
  return { taskId: TASK, status, lastSeq: BigInt(lastSeq), events };
}

/** A store that answers each read when the test says so. */
function slowStore() {
  const reads: PromiseWithResolvers<StoredPage>[] = [];
  const readStore = () => {
    reads.push(Promise.withResolvers());
    return reads.at(-1)!.promise;
  };
  const feed = new Feed();
  return { reads, feed, pages: new StoredPages({ feed, readStore }) };
}

/** Waits until everything that waits only for settled promises is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("StoredPages", () => {
  const query = { taskId: TASK, fromSeq: 1n, limit: 2 };

  it("reads a page for each call if the tape has only one follower", async () => {
    const { reads, feed, pages } = slowStore();
    using _ = feed.subscribe(TASK, NEVER);
    const both = [pages.read(query, 0n), pages.read(query, 0n)];
    assert.equal(reads.length, 2);
    for (const read of reads) read.resolve(stored(2, 9));
    const [one, other] = await Promise.all(both);
    assert.deepEqual(one, other);
    assert.notEqual(one, other);
  });

  it("reads a page once for all followers at one position, and caches it for later ones", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const both = [pages.read(query, 0n), pages.read(query, 0n)];
    reads[0]!.resolve(stored(2, 9));
    const [one, other] = await Promise.all(both);
    assert.equal(one, other);
    assert.deepEqual([one?.nextFromSeq, one?.hasMore, one?.lastSeq], [3n, true, 9n]);
    assert.equal(await pages.read(query, 9n), one);
    assert.equal(reads.length, 1);
    void pages.read({ ...query, limit: 3 }, 0n);
    void pages.read({ ...query, fromSeq: 2n }, 0n);
    assert.equal(reads.length, 3);
  });

  it("does not return a page that is older than what the follower has seen", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    reads[0]!.resolve(stored(2, 9));
    await first;
    const later = pages.read(query, 10n);
    await settled();
    reads[1]!.resolve(stored(2, 10));
    assert.equal((await later).lastSeq, 10n);
    assert.equal(await pages.read(query, 10n), await later);
  });

  it("does not return a page at the live end to followers that came during its read: they share a new one", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    const later = [pages.read(query, 0n), pages.read(query, 0n), pages.read(query, 0n)];
    reads[0]!.resolve(stored(1, 1)); // The read may have ended before the later followers had subscribed.
    assert.equal((await first).hasMore, false);
    await settled();
    assert.equal(reads.length, 2);
    reads[1]!.resolve(stored(2, 2));
    assert.equal(new Set(await Promise.all(later)).size, 1);
    void pages.read(query, 0n);
    assert.equal(reads.length, 3);
  });

  it("shares a page at the end of a finished tape", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    reads[0]!.resolve(stored(2, 2, "succeeded"));
    assert.equal(await pages.read(query, 2n), await first);
    assert.equal(reads.length, 1);
  });

  it("rejects all calls that share a failed read, and reads again for the next call", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const both = [pages.read(query, 0n), pages.read(query, 0n)];
    reads[0]!.reject(new StoreUnavailable(new Error("away")));
    for (const read of both) await assert.rejects(read, StoreUnavailable);
    const next = pages.read(query, 0n);
    reads[1]!.resolve(stored(2, 9));
    assert.equal((await next).lastSeq, 9n);
  });

  it("reads again for a call that must see the current tape", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    reads[0]!.resolve(stored(2, 2, "succeeded"));
    await first;
    const both = [pages.read(query, 2n ** 63n), pages.read(query, 2n ** 63n)];
    assert.equal(reads.length, 2);
    reads[1]!.resolve(stored(2, 2, "succeeded"));
    await settled();
    reads[2]!.resolve(stored(2, 2, "succeeded"));
    assert.notEqual(await both[0], await first);
    assert.notEqual(await both[1], await first);
  });

  it("caches the most recently used pages, up to 16 MiB with their encoding", async () => {
    const feed = new Feed();
    const MIB = 1024 * 1024;
    let reads = 0;
    const readStore = async ({ fromSeq }: { fromSeq: bigint }) => {
      reads++;
      const events = [event(Number(fromSeq), "x".repeat(MIB / 2 - 2 * 160))];
      return { taskId: TASK, status: "running" as const, lastSeq: 99n, events };
    };
    const pages = new StoredPages({ feed, readStore });
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const read = (fromSeq: number) => pages.read({ taskId: TASK, fromSeq: BigInt(fromSeq), limit: 1 }, 0n);
    for (let seq = 1; seq <= 16; seq++) await read(seq);
    await read(1);
    assert.equal(reads, 16);
    await read(17);
    await read(1);
    assert.equal(reads, 17);
    await read(2);
    assert.equal(reads, 18);
  });
});
