import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { FollowCursor } from "../../../src/domain/follow-cursor.ts";
import { fromStart } from "../../../src/domain/follow-cursor.ts";
import { CURSOR_CHARS_MAX } from "../../../src/domain/limits.ts";
import type { Snapshot } from "../../../src/domain/snapshot.ts";
import { decodeCursor, encodeCursor } from "../../../src/rpc/codec/follow-cursor.ts";
import type { FollowScope } from "../../../src/rpc/codec/follow-cursor.ts";

const SCOPE: FollowScope = { kinds: ["b", "a"], labels: { team: "x" }, view: "events" };
const NUMBER_MAX = 2n ** 63n - 1n;

const xid = fc.bigInt(0n, 2n ** 62n);
const time = fc.date({ min: new Date(0), max: new Date("9999-12-31T00:00:00Z"), noInvalidDate: true });

const snapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    xmin: xid,
    steps: fc.array(fc.integer({ min: 1, max: 1_000 }), { maxLength: 100 }),
    at: time,
    origin: fc.oneof(
      fc.record({ timeline: fc.constant(null), isReplicated: fc.constant(false) }),
      fc.record({ timeline: fc.integer({ min: 1, max: 2 ** 32 - 1 }), isReplicated: fc.boolean() }),
    ),
  })
  .map(({ xmin, steps, at, origin }) => {
    let last = xmin;
    const running = steps.map((step, index) => (index === 0 ? last : (last += BigInt(step))));
    return { xmin, xmax: last + 1n, running, at, ...origin };
  });

const cursor: fc.Arbitrary<FollowCursor> = fc
  .record({
    generation: fc.integer({ min: 0, max: 999_999_999 }),
    snapshots: fc.tuple(snapshot, snapshot),
    place: fc.option(
      fc.record({
        endedXid: fc.option(fc.bigInt(0n, NUMBER_MAX)),
        taskId: fc.uuid(),
        seq: fc.option(fc.bigInt(1n, NUMBER_MAX)),
      }),
    ),
  })
  .map(({ generation, snapshots: [one, other], place }) => {
    const [seen, target] = one.xmax <= other.xmax ? [one, other] : [other, one];
    return { generation, seen, round: place && { target, place: { ...place } } };
  });

describe("the cursor of a stream over many tasks", () => {
  it("decodes to the same position", () => {
    fc.assert(
      fc.property(cursor, (given) => {
        const text = encodeCursor(given, SCOPE);
        assert.match(text, /^[\w.-]+$/);
        assert.deepEqual(decodeCursor(text, SCOPE), given);
      }),
    );
    for (const generation of [0, 3]) {
      const start = fromStart(generation);
      assert.deepEqual(decodeCursor(encodeCursor(start, SCOPE), SCOPE), start);
    }
  });

  it("is bound to its filter and view, in any order of kinds", () => {
    const text = encodeCursor(fromStart(0), SCOPE);
    assert.deepEqual(decodeCursor(text, { ...SCOPE, kinds: ["a", "b"] }), fromStart(0));
    const others: Partial<FollowScope>[] = [
      { kinds: ["a"] },
      { labels: {} },
      { labels: { team: "y" } },
      { view: "tasks" },
    ];
    for (const other of others) assert.equal(decodeCursor(text, { ...SCOPE, ...other }), null);
  });

  it("is rejected if it is truncated, changed, of another version or out of range", () => {
    const at = new Date(1_000);
    const seen = { xmin: 5n, xmax: 9n, running: [5n, 7n], at, timeline: null, isReplicated: false };
    const place = { endedXid: 3n, taskId: "018f3a5c-7b1e-7c3d-9a2b-0123456789ab", seq: null };
    const text = encodeCursor({ generation: 0, seen, round: { target: { ...seen, xmax: 10n }, place } }, SCOPE);
    for (let end = 0; end < text.length; end++) {
      const cut = decodeCursor(text.slice(0, end), SCOPE);
      assert.ok(cut === null || cut.round === null, text.slice(0, end)); // A cursor without a round.
    }
    const [version, digest, first, second, third] = text.split(".") as [string, string, string, string, string];
    const refused = [
      ["2", digest, first],
      ["1g0", digest, first],
      ["1g1234567890", digest, first],
      [version, digest.toLowerCase(), first],
      [version, digest, first, second, third, third],
      [version, digest, first, second],
      [version, digest, second, first, third], // A target before `seen`.
      [version, digest, "9-5-3e8-"],
      [version, digest, "5-9-3e8--"],
      [version, digest, "5-9-3e8--r"],
      [version, digest, "5-9-3e8--123456789"],
      [version, digest, "5-9-3e8--1rr"],
      [version, digest, "5-9-3e8-0_0"],
      [version, digest, "5-9-3e8-0_5"],
      [version, digest, "5-8000000000000000-3e8-"],
      [version, digest, "5-9-ffffffffffffffff-"],
      [version, digest, first, second, third.replace("3-", "8000000000000000-")],
      [version, digest, first, second, third.slice(0, -1)],
      [version, digest, `5-9-3e8-${"0".repeat(CURSOR_CHARS_MAX)}`],
    ];
    for (const parts of refused) assert.equal(decodeCursor(parts.join("."), SCOPE), null, parts.join("."));
  });
});
