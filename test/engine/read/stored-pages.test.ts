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

/** A page that begins at 1 and is as long as that, of a tape as long as lastSeq. */
function stored(length: number, lastSeq: number, status: TaskStatus = "running"): StoredPage {
  const events = Array.from({ length }, (_, index) => event(index + 1));
  return { taskId: TASK, status, lastSeq: BigInt(lastSeq), events };
}

/** A store that answers each read when it is told to. */
function slowStore() {
  const reads: PromiseWithResolvers<StoredPage>[] = [];
  const readStore = () => {
    reads.push(Promise.withResolvers());
    return reads.at(-1)!.promise;
  };
  const feed = new Feed();
  return { reads, feed, pages: new StoredPages({ feed, readStore }) };
}

/** Lets what has been settled go as far as it can. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("pages of the store", () => {
  const query = { taskId: TASK, fromSeq: 1n, limit: 2 };

  it("are read for each, where only one follows the tape", async () => {
    const { reads, feed, pages } = slowStore();
    using _ = feed.subscribe(TASK, NEVER);
    const both = [pages.read(query, 0n), pages.read(query, 0n)];
    assert.equal(reads.length, 2);
    for (const read of reads) read.resolve(stored(2, 9));
    const [one, other] = await Promise.all(both);
    assert.deepEqual(one, other);
    assert.notEqual(one, other);
  });

  it("are read once for all who stand at one position, and kept for those who come there", async () => {
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

  it("are not given to who has seen the tape as it was later", async () => {
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

  it("that show how a tape stood are not given to who came while they were read, and then one is for all of these", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    const later = [pages.read(query, 0n), pages.read(query, 0n), pages.read(query, 0n)];
    reads[0]!.resolve(stored(1, 1)); // It may have ended before the later ones had subscribed.
    assert.equal((await first).hasMore, false);
    await settled();
    assert.equal(reads.length, 2);
    reads[1]!.resolve(stored(2, 2));
    assert.equal(new Set(await Promise.all(later)).size, 1);
    void pages.read(query, 0n);
    assert.equal(reads.length, 3);
  });

  it("of the end of a tape are for everybody", async () => {
    const { reads, feed, pages } = slowStore();
    using _one = feed.subscribe(TASK, NEVER);
    using _two = feed.subscribe(TASK, NEVER);
    const first = pages.read(query, 0n);
    reads[0]!.resolve(stored(2, 2, "succeeded"));
    assert.equal(await pages.read(query, 2n), await first);
    assert.equal(reads.length, 1);
  });

  it("that could not be read fail for those who waited, and are read anew for the next", async () => {
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

  it("are read anew for who is to see the tape as it is, unless that has begun after they asked", async () => {
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

  it("are cached up to 16 MiB with their encoding, those that were used last", async () => {
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
